// SPDX-License-Identifier: Apache-2.0
// Removes the data of pairs that are gone for good: the folder at once, then what is in the cold store, which is tried again until it succeeds. The
// desired state goes on naming the pairs, so it is done after a restart, too.
import type { ColdStore } from '@secondsite/retention-journal';
import { isOperationError } from '@secondsite/units';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ColdStoreConfig } from '../cold/cold-config';
import { openColdStore, pairFolder } from '../cold/open-cold-store';
import type { TargetReporter } from '../control/control-plane';

export interface RemovedPairsParts {
  /** With one folder per pair. */
  readonly folder: string;
  readonly cold: ColdStoreConfig | undefined;
  readonly reporter: TargetReporter;
}

const RETRY_MILLIS = 60_000;

export class RemovedPairs {
  readonly #parts: RemovedPairsParts;
  readonly #closing = new AbortController();
  /** Pairs of which nothing is left in the cold store. */
  readonly #done = new Set<string>();
  readonly #reported = new Set<string>();
  #waiting: readonly string[] = [];
  #running: Promise<void> | undefined;

  constructor(parts: RemovedPairsParts) {
    this.#parts = parts;
  }

  /** Their folders are gone when it resolves; does not wait for the cold store. Idempotent. */
  async remove(pairIds: readonly string[]): Promise<void> {
    for (const pairId of pairIds) await rm(join(this.#parts.folder, pairId), { recursive: true, force: true });
    const { cold } = this.#parts;
    if (!cold || this.#closing.signal.aborted) return;
    this.#waiting = pairIds.filter((pairId) => !this.#done.has(pairId));
    if (this.#waiting.length > 0) this.#running ??= this.#removeObjects(cold).finally(() => (this.#running = undefined));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #removeObjects(cold: ColdStoreConfig): Promise<void> {
    const store = await openColdStore(cold);
    this.#closing.signal.addEventListener('abort', () => store.close(), { once: true });
    for (let pairId = this.#waiting[0]; pairId !== undefined && !this.#closing.signal.aborted; pairId = this.#waiting[0]) {
      try {
        await removeAll(store, `${pairFolder(cold, pairId)}/`);
        this.#done.add(pairId);
        this.#waiting = this.#waiting.filter((other) => other !== pairId);
      } catch (error) {
        if (this.#closing.signal.aborted) break;
        this.#report(pairId, error);
        await delay(RETRY_MILLIS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    store.close();
  }

  /** Once for each pair and start. */
  #report(pairId: string, error: unknown): void {
    if (this.#reported.has(pairId)) return;
    this.#reported.add(pairId);
    const { code, hint } = isOperationError(error) ? error : { code: 'cold-store/removal-failed', hint: String(error) };
    this.#parts.reporter.pairEvent(pairId, { kind: 'cold-store-failed', affects: 'removal', code, hint, waitingBytes: 0 });
  }
}

async function removeAll(store: ColdStore, prefix: string): Promise<void> {
  for await (const page of store.list(prefix)) await store.remove(page.map(({ name }) => name));
}
