// SPDX-License-Identifier: Apache-2.0
// Reads everything of a pair again, regularly and slowly: the replica, then the sealed segments of the journal. Invariants: one piece at a time, in
// the thread pool; the thread is given away between pieces, for longer while change sets wait; what is damaged is durably noted before it is told;
// a failure of the disk ends nothing but the attempt.
import type { BlockHasher, KeptChecksums } from '@secondsite/block-checksums';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { RetentionJournal } from '@secondsite/retention-journal';
import { type ByteCount, isOperationError, type TimeMicros } from '@secondsite/units';
import type { PairEvent, ScrubStatus } from './pair-types';
import type { DamagedBlock, ReplicaDamage } from './replica-damage';
import { ReplicaScrubber } from './replica-scrubber';
import { readScrubState, type ScrubProgress, type ScrubState, writeScrubState } from './scrub-state';

export interface PairScrubberParts {
  readonly directory: StorageDirectory;
  readonly replica: StorageFile;
  readonly checksums: KeptChecksums;
  readonly hasher: BlockHasher;
  readonly damage: ReplicaDamage;
  readonly journal: RetentionJournal;
  readonly bytesPerSecond: number;
  readonly roundMicros: TimeMicros;
  /** Change sets wait to be applied. */
  readonly isBusy: () => boolean;
  readonly clock: () => TimeMicros;
  readonly delay: (millis: number) => Promise<void>;
  readonly emit: (event: PairEvent) => void;
}

/** So much slower while change sets wait. */
const BUSY_FACTOR = 10;
/** Longest wait in a row, so that it can be stopped. */
const DELAY_MILLIS = 250;
/** The place is written down so often; what was read since is read again after a restart. */
const STORE_BYTES = 256 * 1024 * 1024;
const RETRY_MICROS = 600e6;

class Stopped extends Error {}

export class PairScrubber {
  readonly #parts: PairScrubberParts;
  readonly #scrubber: ReplicaScrubber;
  #state: ScrubState;
  #running: Promise<void> | undefined;
  #stopping = false;
  #unstoredBytes = 0;
  #notBefore: TimeMicros = 0;
  /** Why the round does not go on for now. */
  #fault: ScrubStatus['fault'];
  /** Seen damaged, to be noted. */
  #found: DamagedBlock[] = [];

  private constructor(parts: PairScrubberParts, state: ScrubState) {
    this.#parts = parts;
    this.#state = state;
    this.#scrubber = new ReplicaScrubber({ ...parts, damaged: (blocks) => void this.#found.push(...blocks) });
  }

  /** A pair that was never scrubbed has its first round after the time of one. */
  static async open(parts: PairScrubberParts): Promise<PairScrubber> {
    const known = await readScrubState(parts.directory);
    const scrubber = new PairScrubber(parts, known ?? { dueAt: parts.clock() + parts.roundMicros });
    if (!known) await scrubber.#store();
    return scrubber;
  }

  get status(): ScrubStatus {
    const { progress, lastRound, dueAt } = this.#state;
    const { damage, journal, replica } = this.#parts;
    const totalBytes = replica.size() + journal.storedBytes;
    return {
      nextAt: progress ? undefined : dueAt,
      running: progress && { startedAt: progress.startedAt, doneBytes: Math.min(totalBytes, progress.doneBytes), totalBytes },
      lastRound,
      damagedBytes: damage.bytes,
      fault: this.#fault,
    };
  }

  /** Begins a round now; one that is under way goes on. Returns at once. */
  request(): void {
    this.#state = { ...this.#state, dueAt: 0 };
    this.#notBefore = 0;
    this.tick();
  }

  /** Begins or goes on when it is time; returns at once. Call it about once a second. */
  tick(): void {
    const now = this.#parts.clock();
    const isDue = this.#state.progress !== undefined || this.#state.dueAt <= now;
    if (this.#running || this.#stopping || !isDue || now < this.#notBefore) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing is read any more; nothing begins afterwards. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    const startedAt = this.#parts.clock();
    this.#state = { ...this.#state, progress: this.#state.progress ?? { startedAt, cursor: 0, doneBytes: 0, readBytes: 0, damagedBytes: 0 } };
    try {
      await this.#scrubReplica();
      await this.#scrubJournal();
      await this.#end(this.#progress);
      this.#fault = undefined;
    } catch (error) {
      // Without the place, what was read is only read again.
      if (error instanceof Stopped) return this.#store().catch(() => undefined);
      if (!isOperationError(error)) throw error;
      this.#notBefore = this.#parts.clock() + RETRY_MICROS;
      this.#fault = { code: error.code, hint: error.hint };
    }
  }

  get #progress(): ScrubProgress {
    return this.#state.progress as ScrubProgress;
  }

  async #scrubReplica(): Promise<void> {
    const { replica, hasher: { layout } } = this.#parts;
    for (let at = this.#progress.cursor; at < replica.size(); at += layout.chunkBytes) {
      const readBytes = await this.#scrubber.scrubChunk(at);
      const damagedBytes = await this.#noteFound();
      const doneBytes = layout.chunkBytesAt(at, replica.size());
      await this.#advance({ cursor: at + doneBytes, doneBytes, readBytes, damagedBytes });
    }
  }

  /** Undo and kept checksum count on what is known to be damaged from here on: see `ReplicaDamage`. */
  async #noteFound(): Promise<ByteCount> {
    const { damage, checksums, emit } = this.#parts;
    let bytes = 0;
    for (const block of this.#found.splice(0)) {
      if (!(await damage.add(block))) continue;
      for (let stale = checksums.changing(block); stale; stale = checksums.changing(block)) await stale;
      bytes += block.length;
      emit({ kind: 'damage-found', place: 'replica', bytes: block.length, offset: block.offset });
    }
    return bytes;
  }

  async #scrubJournal(): Promise<void> {
    const { journal, emit } = this.#parts;
    for await (const { bytes, damage } of journal.scrub()) {
      if (damage) emit({ kind: 'damage-found', place: 'journal', ...damage });
      await this.#advance({ cursor: this.#progress.cursor, doneBytes: bytes, readBytes: bytes, damagedBytes: damage?.bytes ?? 0 });
    }
  }

  /** The place, and what was done since the last. */
  async #advance({ cursor, ...since }: Omit<ScrubProgress, 'startedAt'>): Promise<void> {
    const { startedAt, doneBytes, readBytes, damagedBytes } = this.#progress;
    const progress = { startedAt, cursor, doneBytes: doneBytes + since.doneBytes, readBytes: readBytes + since.readBytes, damagedBytes: damagedBytes + since.damagedBytes };
    this.#state = { ...this.#state, progress };
    this.#unstoredBytes += since.readBytes;
    if (this.#unstoredBytes >= STORE_BYTES) await this.#store();
    await this.#rest(since.readBytes);
  }

  async #rest(bytes: ByteCount): Promise<void> {
    const { bytesPerSecond, isBusy, delay } = this.#parts;
    let millis = (bytes / bytesPerSecond) * 1000 * (isBusy() ? BUSY_FACTOR : 1);
    do {
      if (this.#stopping) throw new Stopped();
      await delay(Math.min(millis, DELAY_MILLIS));
      millis -= DELAY_MILLIS;
    } while (millis > 0);
  }

  async #end({ startedAt, readBytes, damagedBytes }: ScrubProgress): Promise<void> {
    const { clock, roundMicros, emit } = this.#parts;
    const lastRound = { startedAt, endedAt: clock(), readBytes, damagedBytes };
    this.#state = { dueAt: Math.max(startedAt + roundMicros, clock()), lastRound };
    await this.#store();
    emit({ kind: 'scrub-ended', ...lastRound });
  }

  async #store(): Promise<void> {
    this.#unstoredBytes = 0;
    await writeScrubState(this.#parts.directory, this.#state);
  }
}
