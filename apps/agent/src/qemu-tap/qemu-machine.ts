// SPDX-License-Identifier: Apache-2.0
// One running QEMU, seen by its QMP socket. QEMU serves one QMP client and has one NBD server, so all protected disks of a machine share
// one connection, one socket to read from, and take turns in what changes the machine's block graph.
import { QmpClient } from '@secondsite/qemu';
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

const CONNECT_MILLIS_MAX = 2000;

export class QemuMachine {
  readonly qmpSocket: string;
  /** Where QEMU serves the disks for reading. */
  readonly sourceSocketPath: string;
  /** Volumes that use it. */
  users = 0;
  #connecting: Promise<QmpClient> | undefined;
  #working: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly qmpSocket: string; readonly dataDir: string }) {
    this.qmpSocket = options.qmpSocket;
    const name = createHash('sha256').update(options.qmpSocket).digest('hex').slice(0, 12);
    this.sourceSocketPath = join(resolve(options.dataDir), 'nbd', `qemu-${name}.sock`);
  }

  /** The open connection, or a new one. Throws OperationError `qmp/unreachable`, `qmp/no-greeting`. */
  connect(): Promise<QmpClient> {
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  /** One after the other. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined); // The one who asked sees the failure.
    return done;
  }

  /** Drops the connection; QEMU goes on. */
  async disconnect(): Promise<void> {
    const client = await this.#connecting?.catch(() => undefined);
    client?.close();
  }

  async #connect(): Promise<QmpClient> {
    try {
      const client = await QmpClient.connect({ socketPath: this.qmpSocket, timeLimitMillis: CONNECT_MILLIS_MAX });
      void client.closed.then(() => (this.#connecting = undefined));
      return client;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
  }
}

/** The machines of the host, each kept as long as one of its disks is protected. */
export class QemuMachines {
  readonly #machines = new Map<string, QemuMachine>();
  readonly #dataDir: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** `leave` it when it is not used any more. */
  join(qmpSocket: string): QemuMachine {
    const machine = this.#machines.get(qmpSocket) ?? new QemuMachine({ qmpSocket, dataDir: this.#dataDir });
    this.#machines.set(qmpSocket, machine);
    machine.users += 1;
    return machine;
  }

  async leave(machine: QemuMachine): Promise<void> {
    machine.users -= 1;
    if (machine.users > 0) return;
    this.#machines.delete(machine.qmpSocket);
    await machine.disconnect();
  }
}
