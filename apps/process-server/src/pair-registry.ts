// SPDX-License-Identifier: Apache-2.0
import type { ProcessServerDesiredState, ProcessServerPair } from '@secondsite/contracts';
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { BodyPool } from '@secondsite/transport';
import type { ByteBudget } from './byte-budget';
import { Pair, type PairServices } from './pair';
import { PairSpool } from './spool/pair-spool';

export interface PairRegistryOptions {
  /** Holds a folder per pair. */
  readonly directory: StorageDirectory;
  /** Deletes the folder of a pair that was removed. */
  readonly removeData: (pairId: string) => Promise<void>;
  readonly memory: ByteBudget;
  readonly pool: BodyPool;
  readonly services: PairServices;
}

/** The pairs that the desired state lists. */
export class PairRegistry {
  readonly #options: PairRegistryOptions;
  readonly #pairs = new Map<string, Pair>();
  #revision: number | undefined;
  #reconciling: Promise<void> = Promise.resolve();

  constructor(options: PairRegistryOptions) {
    this.#options = options;
  }

  /** Undefined before the first desired state. */
  get revision(): number | undefined {
    return this.#revision;
  }

  get(pairId: string): Pair | undefined {
    return this.#pairs.get(pairId);
  }

  all(): Iterable<Pair> {
    return this.#pairs.values();
  }

  /** Opens, changes, closes and removes until the pairs are as wanted. A pair that fails does not stop the others; then it rejects at the end. */
  reconcile(desired: ProcessServerDesiredState): Promise<void> {
    const next = this.#reconciling.then(
      () => this.#reconcile(desired),
      () => this.#reconcile(desired),
    );
    this.#reconciling = next;
    return next;
  }

  async checkpoint(): Promise<void> {
    await Promise.all([...this.#pairs.values()].map((pair) => pair.checkpoint()));
  }

  async close(): Promise<void> {
    await this.#reconciling.catch(() => undefined);
    await Promise.all([...this.#pairs.values()].map((pair) => pair.close()));
    this.#pairs.clear();
  }

  async #reconcile(desired: ProcessServerDesiredState): Promise<void> {
    const wanted = new Set(desired.pairs.map(({ pairId }) => pairId));
    const gone = [...this.#pairs.keys()].filter((pairId) => !wanted.has(pairId));
    const removed = desired.removedPairs.filter((pairId) => !wanted.has(pairId));
    const results = [
      ...(await Promise.allSettled(gone.map((pairId) => this.#closePair(pairId)))),
      ...(await Promise.allSettled(removed.map((pairId) => this.#options.removeData(pairId)))),
      ...(await Promise.allSettled(desired.pairs.map((pair) => this.#openPair(pair)))),
    ];
    this.#revision = desired.revision;
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #openPair(config: ProcessServerPair): Promise<void> {
    const known = this.#pairs.get(config.pairId);
    if (known) return known.configure(config);
    const { memory, pool, services, directory } = this.#options;
    const spool = await PairSpool.open({ directory: await directory.directory(config.pairId), memory, pool, now: services.now });
    this.#pairs.set(config.pairId, new Pair({ config, spool, services }));
  }

  async #closePair(pairId: string): Promise<void> {
    const pair = this.#pairs.get(pairId);
    this.#pairs.delete(pairId);
    await pair?.close();
  }
}
