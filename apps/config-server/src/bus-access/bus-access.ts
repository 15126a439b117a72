// SPDX-License-Identifier: Apache-2.0
/**
 * Decides who may do what on the bus (I10), and keeps nats-server's certificate from ending. Level-triggered: whatever happened, the files are
 * made equal to what the read models and the clock say, and nats-server is told to read them when it has not been told since they changed or
 * since it was started; a failure is tried again, and everything is checked now and then anyway.
 */
import type { CertificateAuthority } from '@secondsite/certificates';
import { findNats, reloadNats } from '@secondsite/embedded-services';
import type { Logger } from 'pino';
import type { ConfigServerConfig } from '../config';
import type { DirectoryCache } from '../read-models/directory-cache';
import { issueNatsCertificate, natsCertificateDue, natsFilesState, writeUsers } from './nats-files';

export interface BusAccessParts {
  readonly config: ConfigServerConfig;
  readonly authority: CertificateAuthority;
  readonly directories: DirectoryCache;
  readonly logger: Logger;
}

const retryMillis = 1_000;
const checkMillisMax = 15_000;

export class BusAccess {
  #wanted = false;
  #working: Promise<void> | undefined;
  #next: NodeJS.Timeout | undefined;
  /** What nats-server was told to read last, and which process it was. */
  #told = '';
  #closed = false;

  constructor(private readonly parts: BusAccessParts) {}

  /** Something may have changed. Returns at once. */
  trigger(): void {
    // Without certificates nobody on the bus can be told from anybody else.
    if (this.#closed || this.parts.config.insecure) return;
    this.#wanted = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#next);
    await this.#working;
  }

  async #work(): Promise<void> {
    let pauseMillis = checkMillisMax;
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      try {
        pauseMillis = await this.#round();
      } catch (error) {
        this.parts.logger.warn({ err: error }, 'rights and certificate of the bus not brought up to date; trying again');
        pauseMillis = retryMillis;
      }
    }
    clearTimeout(this.#next);
    if (!this.#closed) this.#next = setTimeout(() => this.trigger(), pauseMillis);
  }

  /** Returns how long nothing can be due. The certificate does not wait for the database, nor nats-server for either. */
  async #round(): Promise<number> {
    const { config, directories } = this.parts;
    try {
      const untilDue = await this.#keepCertificate();
      await writeUsers(config, (await directories.load()).components);
      return Math.min(checkMillisMax, untilDue);
    } finally {
      await this.#tell();
    }
  }

  async #keepCertificate(): Promise<number> {
    const { authority, config, logger } = this.parts;
    if ((await natsCertificateDue(config.dataDir)) <= Date.now()) {
      await issueNatsCertificate(config, authority);
      logger.info('a new certificate for nats-server was issued');
    }
    return Math.max(retryMillis, (await natsCertificateDue(config.dataDir)) - Date.now());
  }

  async #tell(): Promise<void> {
    const { dataDir, natsPidFile } = this.parts.config;
    const running = natsPidFile === undefined ? undefined : findNats(natsPidFile);
    if (!running) return;
    const wanted = `${running.pid} ${running.startedAt}\n${await natsFilesState(dataDir)}`;
    if (wanted !== this.#told && reloadNats(running)) this.#told = wanted;
  }
}
