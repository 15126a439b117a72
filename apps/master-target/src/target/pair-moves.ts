// SPDX-License-Identifier: Apache-2.0
// Pairs that are on their way to this master target, and what is left of pairs that have their home elsewhere (ADR 21). Invariants: what is copied here
// is no pair before the desired state says that it is at home here; what a departed pair left goes only when no view of it is open.
import type { ArrivingPair, Bandwidth, DepartedPair, MasterTargetDesiredState, MasterTargetPair, PairArrivalTelemetry } from '@secondsite/contracts';
import { clockMicros, openDirectory } from '@secondsite/disk-files';
import { bytesPerSecondAt, ShapedLink } from '@secondsite/traffic-shaping';
import type { ChangeSetClient, CopyAnswer } from '@secondsite/transport';
import { isOperationError } from '@secondsite/units';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readArrival } from '../move/arrival-record';
import { readHandOver } from '../move/hand-over-record';
import { PairArrival } from '../move/pair-arrival';
import type { PairHost } from './pair-host';

export interface PairMovesParts {
  /** Has a folder per pair. */
  readonly folder: string;
  readonly hosts: ReadonlyMap<string, PairHost>;
  readonly open: (pair: MasterTargetPair) => Promise<void>;
  readonly close: (pairId: string) => Promise<void>;
  readonly hasSpaceFor: (pair: MasterTargetPair) => Promise<boolean>;
  /** To the data plane of another master target. */
  readonly connect: (url: string) => Pick<ChangeSetClient, 'copy' | 'close'>;
  /** A bug. */
  readonly onFatal: (error: unknown) => void;
}

interface Running {
  readonly arrival: PairArrival;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  client: ReturnType<PairMovesParts['connect']>;
}

interface Arriving {
  pair: ArrivingPair;
  running: Running | undefined;
  /** Why it has not begun. */
  waits: PairArrivalTelemetry['fault'];
}

export class PairMoves {
  readonly #parts: PairMovesParts;
  readonly #arriving = new Map<string, Arriving>();
  readonly #departed = new Map<string, DepartedPair>();
  /** Of all copies together. */
  #bandwidth: Bandwidth | undefined;
  readonly #link = new ShapedLink({
    clock: { now: () => performance.now(), sleep: delay },
    bytesPerSecond: () => this.#bandwidth && bytesPerSecondAt(this.#bandwidth, clockMicros() / 1000),
  });

  constructor(parts: PairMovesParts) {
    this.#parts = parts;
  }

  /** True for pairs that have their home elsewhere: nothing is taken for them. */
  isAway(pairId: string): boolean {
    return this.#arriving.has(pairId) || this.#departed.has(pairId);
  }

  /** Stops what is not wanted any more; `look` does the rest. */
  async reconcile({ arrivingPairs = [], arrivalBandwidth, departedPairs = [] }: Pick<MasterTargetDesiredState, 'arrivingPairs' | 'arrivalBandwidth' | 'departedPairs'>): Promise<void> {
    this.#bandwidth = arrivalBandwidth;
    const wanted = new Map(arrivingPairs.map((pair) => [pair.pairId, pair]));
    for (const [pairId, arriving] of this.#arriving) {
      const pair = wanted.get(pairId);
      if (pair?.placement === arriving.pair.placement) this.#update(arriving, pair);
      else {
        await stop(arriving);
        this.#arriving.delete(pairId);
      }
    }
    for (const [pairId, pair] of wanted) if (!this.#arriving.has(pairId)) this.#arriving.set(pairId, { pair, running: undefined, waits: undefined });
    this.#departed.clear();
    for (const pair of departedPairs) this.#departed.set(pair.pairId, pair);
  }

  /** Begins copies and removes what may go; about once a second. */
  async look(): Promise<void> {
    for (const pair of this.#departed.values()) await orLater(this.#removeWhatIsLeft(pair));
    for (const arriving of this.#arriving.values()) if (!arriving.running) await orLater(this.#begin(arriving));
  }

  /** Pairs of which copies are here or come. */
  get copies(): MasterTargetPair[] {
    return [...this.#arriving.values()].flatMap(({ pair, running }) => (running ? [pair] : []));
  }

  /** Certificates were renewed. */
  reconnect(): void {
    for (const arriving of this.#arriving.values()) this.#reconnect(arriving);
  }

  telemetry(): PairArrivalTelemetry[] {
    return [...this.#arriving.values()].map(({ pair: { pairId, placement }, running, waits }) =>
      running ? running.arrival.telemetry() : { pairId, placement, state: 'copying', copiedBytes: 0, totalBytes: 0, ...(waits && { fault: waits }) });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#arriving.values()].map(stop));
  }

  /** The other target may have another address after a restart. */
  #update(arriving: Arriving, pair: ArrivingPair): void {
    const isElsewhere = pair.sourceUrl !== arriving.pair.sourceUrl;
    arriving.pair = pair;
    if (isElsewhere) this.#reconnect(arriving);
  }

  #reconnect({ pair, running }: Arriving): void {
    if (!running) return;
    running.client.close();
    running.client = this.#parts.connect(pair.sourceUrl);
  }

  async #begin(arriving: Arriving): Promise<void> {
    const { pair } = arriving;
    const isCopy = (await this.#has(pair.pairId)) && (await readArrival(await this.#directory(pair.pairId))) !== undefined;
    if (!isCopy && !(await this.#removeWhatIsLeft(pair))) {
      arriving.waits = { code: 'pair/views-open', hint: 'The pair was here before and views of it are open; close them.' };
    } else if (!isCopy && arriving.waits?.code !== 'target/no-space' && !(await this.#parts.hasSpaceFor(pair))) {
      arriving.waits = { code: 'target/no-space', hint: 'Replicas and retention would need more space than the disk has. Add space there, then cancel the move and begin it again.' };
    } else if (arriving.waits?.code !== 'target/no-space') arriving.running = await this.#start(arriving);
  }

  async #start({ pair }: Arriving): Promise<Running> {
    const { pairId, placement, sourceUrl } = pair;
    const stop = new AbortController();
    const arrival: PairArrival = new PairArrival({
      directory: await this.#directory(pairId), pairId, placement, clock: clockMicros, signal: stop.signal,
      ask: async (question) => this.#paced(pairId, await running.client.copy(question, { pairId, signal: stop.signal })),
      delay: (millis) => delay(millis, undefined, { signal: stop.signal }).catch(() => undefined),
    });
    const running: Running = { arrival, stop, client: this.#parts.connect(sourceUrl), done: Promise.resolve() };
    return Object.assign(running, { done: arrival.run().catch((error: unknown) => this.#parts.onFatal(error)) });
  }

  /** The next question waits until the link has room for this answer. */
  async #paced(pairId: string, answer: CopyAnswer): Promise<CopyAnswer> {
    if (answer.kind === 'copied') await this.#link.pace({ flow: pairId, weight: 1 }, answer.answer.length);
    return answer;
  }

  /** True when nothing is left. A pair that was handed over is served as long as views of it are open, also after a restart. */
  async #removeWhatIsLeft({ pairId, volumeId, volumeName, sizeBytes }: DepartedPair): Promise<boolean> {
    const host = this.#parts.hosts.get(pairId);
    if (host) {
      if (!host.isOpen || (await host.thread.call('listViews', undefined)).length > 0) return false;
      await this.#parts.close(pairId);
    } else if (!(await this.#has(pairId))) return true;
    else if (await this.#hasViews(pairId)) {
      await this.#parts.open({ pairId, volumeId, volumeName, sizeBytes, retention: { windowSeconds: 1 } });
      return false;
    }
    await rm(join(this.#parts.folder, pairId), { recursive: true, force: true });
    return true;
  }

  async #hasViews(pairId: string): Promise<boolean> {
    const pair = await this.#directory(pairId);
    if ((await readHandOver(pair)) === undefined) return false;
    const names = await (await pair.directory('views')).list();
    return names.some((name) => name.endsWith('.view'));
  }

  async #has(pairId: string): Promise<boolean> {
    return (await readdir(this.#parts.folder)).includes(pairId);
  }

  #directory(pairId: string): ReturnType<typeof openDirectory> {
    return openDirectory(join(this.#parts.folder, pairId));
  }
}

/** A disk or a thread that fails is looked at again; anything else is a bug. */
async function orLater(looking: Promise<unknown>): Promise<void> {
  await looking.catch((error: unknown) => {
    if (!isOperationError(error)) throw error;
  });
}

async function stop({ running }: Arriving): Promise<void> {
  running?.stop.abort();
  await running?.done;
  running?.client.close();
}
