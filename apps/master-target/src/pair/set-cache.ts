// SPDX-License-Identifier: Apache-2.0
// Sets that were received and are not durable in the replica yet. Accepts out of order inside a window, hands out strictly in order.
// Invariants: `received` counts only sets that are durable here, and passing ones, which the agent can read again; a set is released only
// by the owner (I2); a set of an epoch before the newest is never taken (I6); memory for decoded sets is bounded, the others are read back
// from the log when their turn comes, for which sets that arrive meanwhile leave room.
import { DATA_BYTES_TARGET, type StreamMarker, type VerifiedChangeSet } from '@secondsite/change-set';
import { compareStreamPlaces } from '@secondsite/retention-journal';
import type { RecordPosition, SegmentLog } from '@secondsite/segment-log';
import { type ByteCount, type Epoch, KIB, OperationError, type TimeMicros } from '@secondsite/units';
import type { StreamPlace } from './pair-types';

/** What a set makes of the stream: its instants are exact from then on, or not any more. Of sets of before a restart it is not known. */
type StreamTurn = 'green' | 'broken' | 'none' | 'unknown';

export interface CachedSet extends StreamPlace {
  readonly storedBytes: ByteCount;
  /** Memory that it takes decoded; of a set of before a restart what agents aim at. */
  readonly contentBytes: ByteCount;
  /** First set of an epoch after one that had lost sets. */
  continuityLost: boolean;
  /** In the log; undefined while it is written there, and for a passing set. */
  position: RecordPosition | undefined;
  /** Only in memory: blocks of a resynchronisation, which go straight to the replica (ADR 11). Resolves when they are written there. */
  readonly passing: PromiseWithResolvers<void> | undefined;
  /** Kept while memory allows. */
  decoded: VerifiedChangeSet | undefined;
  readonly turn: StreamTurn;
  /** Undefined for one of before a restart. */
  readonly receivedAt: TimeMicros | undefined;
  /** The bytes as received, which `decoded` may share; until they are written and `decoded` is forgotten. */
  received: Uint8Array | undefined;
  /** Resolves when the set is durable here. */
  durable: Promise<void>;
}

/** A set that arrived. Its memory is the cache's from then on. */
export interface ReceivedSet {
  readonly bytes: Uint8Array;
  readonly decoded: VerifiedChangeSet;
  readonly markers: readonly StreamMarker[];
  readonly receivedAt: TimeMicros;
}

/** What to do with a set that arrives. */
export type Admission =
  | { readonly kind: 'take' }
  | { readonly kind: 'have'; readonly durable: Promise<void> }
  | { readonly kind: 'old-epoch' }
  | { readonly kind: 'too-early' }
  | { readonly kind: 'full' };

export interface SetCacheOptions {
  readonly log: SegmentLog;
  readonly applied: StreamPlace;
  readonly endedEpochs: readonly StreamPlace[];
  readonly cacheBytesMax: ByteCount;
  readonly memoryBytesMax: ByteCount;
  /** What is read back together at most; less than the memory. */
  readonly groupBytes: ByteCount;
  /** How far ahead of the first missing set a set is taken. */
  readonly windowSets: number;
  /** Takes the memory of received bytes when nothing here reads them any more. */
  readonly recycle: (memory: ArrayBufferLike) => void;
}

const ENDED_EPOCHS_KEPT = 16;
/** Content of fewer bytes may share its memory with others. */
export const OWN_MEMORY_BYTES_MIN = 256 * KIB;

export class SetCache {
  readonly #options: SetCacheOptions;
  readonly #ready: CachedSet[] = [];
  readonly #waiting = new Map<number, CachedSet>();
  #endedEpochs: StreamPlace[];
  #received: StreamPlace;
  #continuityLost = false;
  #cachedBytes = 0;
  #cachedSets = 0;
  #memoryBytes = 0;
  /** Sets in the log, in line and not applied yet. */
  #keptToApply = 0;
  /** What the stream is at the end of the line. */
  #lineEnd: Exclude<StreamTurn, 'none'> = 'unknown';
  readonly #passing = new Set<CachedSet>();
  /** Why nothing passes any more. */
  #passingEnd: Error | undefined;

  constructor(options: SetCacheOptions) {
    this.#options = options;
    this.#received = { epoch: options.applied.epoch, sequence: options.applied.sequence };
    this.#endedEpochs = [...options.endedEpochs];
    this.#recover();
  }

  /** Newest epoch, and the set below which none of it is missing. */
  get received(): StreamPlace {
    return this.#received;
  }

  get endedEpochs(): readonly StreamPlace[] {
    return this.#endedEpochs;
  }

  /**
   * The last set in line of all epochs before this one, whether or not sets of it have come already. An epoch of which the first set is missing
   * has brought nothing.
   */
  placeBefore(epoch: Epoch): StreamPlace {
    return [...this.#endedEpochs, this.#received].findLast((place) => place.epoch < epoch && place.sequence > 0) ?? { epoch: 0, sequence: 0 };
  }

  get cachedBytes(): ByteCount {
    return this.#cachedBytes;
  }

  get cachedSets(): number {
    return this.#cachedSets;
  }

  /** The set that waits longest. */
  get oldestWaiting(): CachedSet | undefined {
    return this.#ready[0] ?? this.#waiting.values().next().value;
  }

  get creditBytes(): ByteCount {
    return Math.max(0, this.#options.cacheBytesMax - this.#cachedBytes);
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  admission({ epoch, sequence }: StreamPlace): Admission {
    if (epoch < this.#received.epoch) {
      const ended = this.#endedEpochs.find((place) => place.epoch === epoch);
      return ended && sequence <= ended.sequence ? { kind: 'have', durable: Promise.resolve() } : { kind: 'old-epoch' };
    }
    const received = epoch > this.#received.epoch ? 0 : this.#received.sequence;
    if (sequence <= received) return { kind: 'have', durable: Promise.resolve() };
    const waiting = epoch === this.#received.epoch ? this.#waiting.get(sequence) : undefined;
    if (waiting) return { kind: 'have', durable: waiting.durable };
    if (sequence > received + this.#options.windowSets) return { kind: 'too-early' };
    const nextInLine = sequence === received + 1 && this.#ready.length === 0;
    return this.creditBytes === 0 && !nextInLine ? { kind: 'full' } : { kind: 'take' };
  }

  /**
   * True when nothing before the set is missing, in a part of the stream whose instants are not exact, and there is memory for it until its
   * turn comes. `appliedIsGreen`: of what is applied.
   */
  isPassable({ epoch, sequence }: StreamPlace, { contentBytes, appliedIsGreen }: { readonly contentBytes: ByteCount; readonly appliedIsGreen: boolean }): boolean {
    if (epoch !== this.#received.epoch || !this.#hasMemoryFor(contentBytes)) return false;
    if (this.#lineEnd === 'unknown' && this.#keptToApply === 0) this.#lineEnd = appliedIsGreen ? 'green' : 'broken';
    let stream: StreamTurn = this.#lineEnd;
    for (let before = this.#received.sequence + 1; before < sequence; before++) {
      const turn = this.#waiting.get(before)?.turn;
      if (turn === undefined) return false;
      if (turn !== 'none') stream = turn;
    }
    return stream === 'broken';
  }

  /** Takes a passable set without storing it; resolves when it is written to the replica. */
  pass(place: StreamPlace, { bytes, decoded, receivedAt }: ReceivedSet): Promise<void> {
    if (this.#passingEnd) return Promise.reject(this.#passingEnd);
    const passing = Promise.withResolvers<void>();
    const { contentBytes } = decoded.header;
    const set: CachedSet = { ...place, storedBytes: bytes.length, contentBytes, continuityLost: false, position: undefined, passing, decoded, turn: 'none', receivedAt, received: bytes, durable: passing.promise };
    this.#memoryBytes += contentBytes;
    this.#recycle(set);
    this.#count(set, 1);
    this.#passing.add(set);
    this.#waiting.set(place.sequence, set);
    this.#advance();
    return passing.promise;
  }

  /** Stores an admitted set; resolves when it is durable. A set of a newer epoch ends the one before. Rejects with the log's error. */
  take(place: StreamPlace, { bytes, decoded, markers, receivedAt }: ReceivedSet): Promise<void> {
    if (place.epoch > this.#received.epoch) this.#beginEpoch(place.epoch);
    const { contentBytes } = decoded.header;
    const set: CachedSet = { ...place, storedBytes: bytes.length, contentBytes, continuityLost: false, position: undefined, passing: undefined, decoded: undefined, turn: turnOf(markers), receivedAt, received: bytes, durable: Promise.resolve() };
    this.#keepDecoded(set, decoded);
    this.#count(set, 1);
    this.#waiting.set(place.sequence, set);
    set.durable = this.#append(set, bytes);
    return set.durable;
  }

  async #append(set: CachedSet, bytes: Uint8Array): Promise<void> {
    try {
      set.position = await this.#options.log.append({ key: { epoch: set.epoch, sequence: set.sequence }, parts: [bytes] });
    } catch (error) {
      if (this.#waiting.get(set.sequence) === set) this.#waiting.delete(set.sequence);
      this.#count(set, -1);
      throw error;
    }
    this.#recycle(set);
    if (set.epoch === this.#received.epoch) this.#advance();
    else this.release(set);
  }

  /** Content that was decompressed has memory of its own: what was received is not needed any more when it is in the log. */
  #recycle(set: CachedSet): void {
    if (!set.received || !(set.position ?? set.passing) || set.decoded?.data.buffer === set.received.buffer) return;
    this.#options.recycle(set.received.buffer);
    set.received = undefined;
  }

  /** Moves what is durable and in line to the ready sets. */
  #advance(): void {
    for (;;) {
      const next = this.#waiting.get(this.#received.sequence + 1);
      if (!next?.position && !next?.passing) return;
      this.#waiting.delete(next.sequence);
      next.continuityLost = next.sequence === 1 && this.#continuityLost;
      this.#ready.push(next);
      if (next.position) this.#keptToApply += 1;
      if (next.turn !== 'none') this.#lineEnd = next.turn;
      this.#received = { epoch: next.epoch, sequence: next.sequence };
    }
  }

  /** Sets of the old epoch behind a gap will never be complete: the agent sends their regions again. */
  #beginEpoch(epoch: number): void {
    this.#continuityLost = this.#waiting.size > 0;
    for (const set of this.#waiting.values()) {
      set.passing?.reject(overtaken());
      this.#passing.delete(set);
      if (set.position ?? set.passing) this.release(set);
    }
    this.#waiting.clear();
    if (this.#received.sequence > 0) this.#endedEpochs = [...this.#endedEpochs, this.#received].slice(-ENDED_EPOCHS_KEPT);
    this.#received = { epoch, sequence: 0 };
  }

  /** The next sets in line, at least one if there is any, together at most `bytesMax` of content, all passing or none; they stay cached until released. */
  takeReady(bytesMax: ByteCount): CachedSet[] {
    let count = 0;
    for (let bytes = 0; count < this.#ready.length; count++) {
      const { contentBytes, passing } = this.#ready[count] as CachedSet;
      bytes += contentBytes;
      if (count > 0 && (bytes > bytesMax || !passing !== !this.#ready[0]?.passing)) break;
    }
    return this.#ready.splice(0, count);
  }

  /** Puts sets back in front that could not be applied. */
  putBack(sets: readonly CachedSet[]): void {
    this.#ready.unshift(...sets);
  }

  /** The set's bytes as received, in memory that `memory` gives. */
  read(set: CachedSet, memory: (bytes: ByteCount) => ArrayBufferLike): Promise<Uint8Array> {
    return this.#options.log.read(set.position as RecordPosition, memory);
  }

  /** Keeps what was read back until the set is applied; then its memory is recycled like that of a received set. */
  keepRead(set: CachedSet, { bytes, decoded }: { bytes: Uint8Array; decoded: VerifiedChangeSet }): void {
    this.#memoryBytes += decoded.header.contentBytes;
    set.decoded = decoded;
    set.received = bytes;
    this.#recycle(set);
  }

  /** The set is written to the replica, not durable there yet. */
  applied(set: CachedSet): void {
    if (set.passing) set.passing.resolve();
    else this.#keptToApply -= 1;
    this.#passing.delete(set);
    this.#forgetDecoded(set);
  }

  /** Nothing is applied any more: who waits for passing sets has to send them again. */
  rejectPassing(reason: Error): void {
    this.#passingEnd = reason;
    for (const { passing } of this.#passing) passing?.reject(reason);
    this.#passing.clear();
  }

  #forgetDecoded(set: CachedSet): void {
    const { decoded } = set;
    set.decoded = undefined;
    if (decoded) {
      this.#memoryBytes -= decoded.header.contentBytes;
      this.#recycleDecoded(set, decoded);
    }
    this.#recycle(set);
  }

  /** Small pieces of decompressed content may share their memory with others. */
  #recycleDecoded(set: CachedSet, { data, header }: VerifiedChangeSet): void {
    if (set.received?.buffer !== data.buffer && header.contentBytes >= OWN_MEMORY_BYTES_MIN) this.#options.recycle(data.buffer);
  }

  /** The set is durable in the replica, or will never be applied. */
  release(set: CachedSet): void {
    this.#forgetDecoded(set);
    if (set.position) this.#options.log.release(set.position);
    this.#count(set, -1);
  }

  #keepDecoded(set: CachedSet, decoded: VerifiedChangeSet): void {
    if (!this.#hasMemoryFor(decoded.header.contentBytes)) return this.#recycleDecoded(set, decoded);
    this.#memoryBytes += decoded.header.contentBytes;
    set.decoded = decoded;
  }

  #hasMemoryFor(bytes: ByteCount): boolean {
    const { memoryBytesMax, groupBytes } = this.#options;
    const bytesMax = this.#ready.some(isToReadBack) ? memoryBytesMax - groupBytes : memoryBytesMax;
    return this.#memoryBytes === 0 || this.#memoryBytes + bytes <= bytesMax;
  }

  #count(set: CachedSet, sign: 1 | -1): void {
    this.#cachedBytes += sign * set.storedBytes;
    this.#cachedSets += sign;
  }

  /** Sorts what the log held at open into ready and waiting sets; releases what is not needed any more. */
  #recover(): void {
    const records = [...this.#options.log.records()].sort((left, right) => compareStreamPlaces(left.key, right.key));
    let last: StreamPlace | undefined;
    for (const { key, position } of records) {
      const repeated = last !== undefined && compareStreamPlaces(last, key) === 0;
      last = key;
      if (repeated || compareStreamPlaces(key, this.#options.applied) <= 0) {
        this.#options.log.release(position);
        continue;
      }
      if (key.epoch > this.#received.epoch) this.#beginEpoch(key.epoch);
      const storedBytes = position.payloadBytes;
      const contentBytes = Math.max(storedBytes, DATA_BYTES_TARGET);
      const set: CachedSet = { ...key, storedBytes, contentBytes, continuityLost: false, position, passing: undefined, decoded: undefined, turn: 'unknown', receivedAt: undefined, received: undefined, durable: Promise.resolve() };
      this.#count(set, 1);
      this.#waiting.set(key.sequence, set);
      this.#advance();
    }
  }
}

function isToReadBack({ decoded }: CachedSet): boolean {
  return decoded === undefined;
}

function overtaken(): OperationError {
  const hint = 'A newer epoch has begun, which covers what this set has.';
  return new OperationError({ code: 'change-set/old-epoch', operation: 'store change set', retryable: false, hint });
}

/** The last marker counts. An epoch that claims to begin green is taken at its word here, which only keeps sets that could have passed. */
function turnOf(markers: readonly StreamMarker[]): StreamTurn {
  const last = markers.findLast(({ kind }) => kind === 'epoch-started' || kind === 'resync-started' || kind === 'resync-read');
  if (!last) return 'none';
  return last.kind === 'resync-read' || (last.kind === 'epoch-started' && last.reason === 'none') ? 'green' : 'broken';
}
