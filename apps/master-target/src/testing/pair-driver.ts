// SPDX-License-Identifier: Apache-2.0
// Plays the process server for one pair: sends what was not answered yet, out of order inside a window, an epoch only after the one before;
// forgets what was answered (I2 is broken if the target loses any of it, but for sets that carry only blocks of a resynchronisation).
import { compressStored, verifyStored } from '@secondsite/change-set';
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type Random, randomBelow } from '@secondsite/durable-storage/testing';
import type { RetentionLimits } from '@secondsite/retention-journal';
import { type HistorySet, StreamHistory } from '@secondsite/retention-journal/testing';
import { isOperationError } from '@secondsite/units';
import { decompressZstd } from '@secondsite/zstd';
import { setImmediate } from 'node:timers/promises';
import { zstdCompressSync } from 'node:zlib';
import type { PairEvent } from '../pair/pair-types';
import type { PairLimits } from '../pair/pair-limits';
import type { TargetPairOptions } from '../pair/pair-parts';
import { TargetPair } from '../pair/target-pair';

/** What memory holds that the pair gave back. */
export const GIVEN_BACK = 0xdd;

export class PairDriver {
  readonly history: StreamHistory;
  readonly events: PairEvent[] = [];
  readonly #random: Random;
  #unsent: HistorySet[] = [];
  #answered: HistorySet[] = [];
  /** How often the target had lost passing sets. */
  losses = 0;
  #clock = 1_000_000;

  constructor(random: Random) {
    this.#random = random;
    this.history = new StreamHistory({ random });
  }

  async open(directory: StorageDirectory, limits: Partial<PairLimits> = {}, retention: RetentionLimits = { windowMicros: 1e12 }, placement = 0): Promise<TargetPair> {
    const pair = await TargetPair.open({ ...this.options(directory, limits), retention, placement });
    this.#noticeLoss(pair.position());
    pair.start();
    return pair;
  }

  /** As the pair is opened with, whatever was sent. */
  options(directory: StorageDirectory, limits: Partial<PairLimits> = {}): TargetPairOptions {
    return {
      directory,
      pairId: this.history.pairId,
      sizeBytes: this.history.volumeBytes,
      retention: { windowMicros: 1e12 },
      decompress: decompressZstd,
      clock: () => (this.#clock += 1000),
      delay: async () => void (await setImmediate()),
      onEvent: (event) => this.events.push(event),
      // Whoever still read it would see that it is not its own any more.
      recycle: (memory) => void new Uint8Array(memory).fill(GIVEN_BACK),
      limits: { segmentBytes: 30_000, freeBytesMin: 0, groupBytes: 12_000, checkpointBytes: 20_000, checkpointMicros: 20_000, mergeLookMicros: 5_000, ...limits },
    };
  }

  /** The first set that is missing must be one that the agent reads again; then either the same sets come again, or a new epoch. */
  #noticeLoss(position: { readonly epoch: number; readonly sequence: number }): void {
    const missing = this.history.sets.filter((set) => set.epoch > position.epoch || (set.epoch === position.epoch && set.sequence > position.sequence));
    const [first] = missing;
    if (!first || !this.#answered.includes(first)) return;
    const lost = missing.filter((set) => this.#answered.includes(set));
    this.losses += 1;
    const readAgain = first.entries.every(({ kind }) => kind.startsWith('resync-'));
    if (!readAgain) throw new Error(`I2: set ${first.epoch}/${first.sequence} was answered and is lost`);
    this.#answered = this.#answered.filter((set) => !lost.includes(set));
    if (this.#random() < 0.5) this.#unsent = this.history.sets.filter((set) => lost.includes(set) || this.#unsent.includes(set));
    else {
      this.#unsent = [];
      this.history.loseAfter(position);
    }
  }

  /** Makes and sends `sets` more sets. Rejects as soon as one fails (power cut). */
  async send(pair: TargetPair, sets: number): Promise<void> {
    for (let made = 0; made < sets; made++) this.#unsent.push(this.history.next());
    while (this.#unsent.length > 0) await this.#sendWindow(pair);
  }

  /** Makes `sets` more sets and sends some of what waits once; what the target turns away waits for the next call. */
  async offer(pair: TargetPair, sets: number): Promise<void> {
    for (let made = 0; made < sets; made++) this.#unsent.push(this.history.next());
    await this.#sendWindow(pair).catch((error: unknown) => {
      if (!isOperationError(error, 'pair/stopped')) throw error;
    });
  }

  async #sendWindow(pair: TargetPair): Promise<void> {
    const epoch = this.#unsent[0]?.epoch;
    const window = this.#unsent.slice(0, 1 + randomBelow(this.#random, 6)).filter((set) => set.epoch === epoch);
    const shuffled = window.map((set) => ({ set, order: this.#random() })).sort((left, right) => left.order - right.order);
    try {
      await Promise.all(shuffled.map(({ set }) => this.#sendOne(pair, set)));
    } catch (error) {
      // Not until all have settled: a passing set waits for the ones before it, which never come when the power is gone.
      for (let turn = 0; turn < 5; turn++) await setImmediate();
      throw error;
    }
    await setImmediate();
  }

  async #sendOne(pair: TargetPair, set: HistorySet): Promise<void> {
    const outcome = await pair.store(await this.#maybeCompressed(set.bytes), set);
    if (outcome.kind === 'held-off') return;
    if (outcome.kind !== 'stored') throw new Error(`set ${set.epoch}/${set.sequence} was ${outcome.kind}: ${outcome.code} ${outcome.detail}`);
    this.#unsent = this.#unsent.filter((other) => other !== set);
    this.#answered.push(set);
  }

  async #maybeCompressed(bytes: Uint8Array): Promise<Uint8Array> {
    const verified = verifyStored(bytes);
    if (!verified.ok || this.#random() < 0.7) return new Uint8Array(bytes);
    const compressed = await compressStored(verified, async (parts) => zstdCompressSync(Buffer.concat(parts)));
    return new Uint8Array(compressed ? Buffer.concat(compressed.parts) : bytes);
  }
}
