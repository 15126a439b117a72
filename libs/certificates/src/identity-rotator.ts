// SPDX-License-Identifier: Apache-2.0
// Purpose: renews the certificate at two thirds of its life, with a new key, for as long as the component runs.
// Invariant: the identity on disk is always whole and valid; a failed renewal changes nothing and is tried again until it works.
import { isOperationError, type OperationError } from '@secondsite/units';
import { X509Certificate } from 'node:crypto';
import { clockSkewMillis } from './certificate-authority';
import { badAnswer } from './enroll';
import { type ComponentIdentity, writeIdentity } from './identity-folder';
import { createKeyAndRequest } from './key-pair';
import { postJson } from './post-json';
import { clientTlsOptions } from './tls-options';

/** Gets a new certificate for the same component. Throws an OperationError. */
export type RenewIdentity = (identity: ComponentIdentity, dnsNames: readonly string[]) => Promise<ComponentIdentity>;

export interface IdentityRotatorOptions {
  readonly dataDir: string;
  readonly identity: ComponentIdentity;
  /** As given at enrolment. */
  readonly dnsNames: readonly string[];
  /** Told about every failed try, with the time at which the certificate ends. */
  readonly onFailure: (error: OperationError, notAfter: Date) => void;
  /** Default: asks the configuration server with mutual TLS. */
  readonly renew?: RenewIdentity;
  readonly nowMillis?: () => number;
  /** Shortest wait after a failure; default 1 s (growing to 5 min while the certificate has time left). */
  readonly retryMillisMin?: number;
}

const waitMillisMax = 86_400_000;
const retryMillisMax = 300_000;

export class IdentityRotator {
  private readonly listeners = new Set<(identity: ComponentIdentity) => void>();
  private readonly stopped = Promise.withResolvers<'stopped'>();
  private identity: ComponentIdentity;
  private running: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(private readonly options: IdentityRotatorOptions) {
    this.identity = options.identity;
  }

  /** The newest identity; use it for each new connection. */
  get current(): ComponentIdentity {
    return this.identity;
  }

  /** Calls the listener after each renewal (`server.setSecureContext(secureContextOptions(identity))`); returns how to stop that. */
  onRotated(listener: (identity: ComponentIdentity) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  start(): void {
    this.running ??= this.run();
  }

  /** Returns when no renewal is under way any more. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    this.stopped.resolve('stopped');
    await this.running;
  }

  /** Renews now. Throws the OperationError of the failed try; nothing has changed then. */
  async rotate(): Promise<ComponentIdentity> {
    const renew = this.options.renew ?? renewIdentity;
    const renewed = await renew(this.identity, this.options.dnsNames);
    await writeIdentity(this.options.dataDir, renewed);
    this.identity = renewed;
    this.listeners.forEach((listener) => listener(renewed));
    return renewed;
  }

  private async run(): Promise<void> {
    let failures = 0;
    while (!this.stopping) {
      const due = await this.wait(failures === 0 ? this.untilDue() : this.untilRetry(failures));
      if (!due || this.stopping) continue;
      failures = (await this.tryRotate()) ? 0 : failures + 1;
    }
  }

  private async tryRotate(): Promise<boolean> {
    try {
      await this.rotate();
      return true;
    } catch (error) {
      if (!isOperationError(error)) throw error;
      this.options.onFailure(error, new X509Certificate(this.identity.certificatePem).validToDate);
      return false;
    }
  }

  private untilDue(): number {
    return renewalDueMillis(this.identity.certificatePem) - this.now();
  }

  private untilRetry(failures: number): number {
    const leftMillis = new X509Certificate(this.identity.certificatePem).validToDate.getTime() - this.now();
    const grown = (this.options.retryMillisMin ?? 1000) * 2 ** Math.min(failures - 1, 20);
    return Math.max(this.options.retryMillisMin ?? 1000, Math.min(grown, retryMillisMax, leftMillis > 0 ? leftMillis / 10 : retryMillisMax));
  }

  /** True when the time has come; false when it waits on (a timer is bounded) or is stopped. */
  private async wait(millis: number): Promise<boolean> {
    const bounded = Math.min(Math.max(millis, 0), waitMillisMax);
    const elapsed = Promise.withResolvers<'elapsed'>();
    this.timer = setTimeout(() => elapsed.resolve('elapsed'), bounded);
    return (await Promise.race([elapsed.promise, this.stopped.promise])) === 'elapsed' && bounded >= millis;
  }

  private now(): number {
    return (this.options.nowMillis ?? Date.now)();
  }
}

/** Two thirds of the life of a certificate, in milliseconds since 1970. */
export function renewalDueMillis(certificatePem: string): number {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem);
  const lifetime = Math.max(0, validToDate.getTime() - validFromDate.getTime() - clockSkewMillis);
  return validToDate.getTime() - lifetime / 3;
}

/** Asks the configuration server for a new certificate, with a new key, over mutual TLS. */
export async function renewIdentity(identity: ComponentIdentity, dnsNames: readonly string[]): Promise<ComponentIdentity> {
  const { keyPem, csrPem } = await createKeyAndRequest(identity.componentId);
  const { certificate, ca } = await postJson({
    configServerUrl: identity.configServerUrl,
    path: '/v1/certificates/renewals',
    tls: clientTlsOptions(identity, { serverRoles: ['config-server'] }),
    body: { csr: csrPem, dnsNames },
    operation: 'renew the certificate',
  });
  if (typeof certificate !== 'string' || typeof ca !== 'string') throw badAnswer('certificates are missing');
  return { ...identity, certificatePem: certificate, caPem: ca, keyPem };
}
