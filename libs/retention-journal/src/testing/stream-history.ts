// SPDX-License-Identifier: Apache-2.0
// A made-up source disk and the stream that its agent would send, with full images of the disk after every write: the oracle for journal
// and views. It knows nothing of undo: what an instant must look like is a remembered image.
import { encodeChangeSet, encodeMarker, type LooseEntry, type ResyncReason, type StreamMarker, verifyChangeSet } from '@secondsite/change-set';
import { type Random, randomBelow } from '@secondsite/durable-storage/testing';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { JournalSet } from '../stream-state';

export interface HistoryOptions {
  readonly random: Random;
  /** Default 48 KiB and a bit, so that the last region is a short one. */
  readonly volumeBytes?: ByteCount;
  readonly pairId?: string;
}

/** One set as it travels, and as the journal takes it. */
export interface HistorySet extends JournalSet {
  readonly bytes: Uint8Array;
  readonly lastTime: TimeMicros;
}

/** The disk from `time` on, until the next change. */
export interface Moment {
  readonly time: TimeMicros;
  readonly image: Uint8Array;
  /** The stream carried everything up to here: the instant must be recoverable once it was applied. */
  green: boolean;
}

const REGION = 4096;

export class StreamHistory {
  readonly volumeBytes: ByteCount;
  readonly pairId: string;
  readonly sets: HistorySet[] = [];
  readonly bookmarks: { readonly bookmarkId: string; readonly time: TimeMicros; green: boolean }[] = [];
  readonly #random: Random;
  readonly #source: Uint8Array;
  readonly #moments: Moment[] = [];
  #dirty: number[] = [];
  #phase: 'start' | 'resync' | 'green' | 'lost' = 'start';
  #epoch = 1;
  #sequence = 0;
  #time = 1_000_000;
  #entries: LooseEntry[] = [];
  #rangeEnd = 0;

  constructor({ random, volumeBytes = 12 * REGION + 777, pairId = '6f1c0a52-0000-4000-8000-000000000001' }: HistoryOptions) {
    this.#random = random;
    this.volumeBytes = volumeBytes;
    this.pairId = pairId;
    this.#source = this.#bytes(volumeBytes);
    for (let region = 0; region * REGION < volumeBytes; region++) if (this.#chance(0.4)) this.#source.fill(0, region * REGION, (region + 1) * REGION);
  }

  /** The source disk now: what the replica must be once all was applied, when `green`. */
  get source(): Uint8Array {
    return this.#source;
  }

  get green(): boolean {
    return this.#phase === 'green';
  }

  get time(): TimeMicros {
    return this.#time;
  }

  /** The image at an instant, and whether the stream carried all of it. */
  at(time: TimeMicros): Moment | undefined {
    return this.#moments[this.#countUntil(time) - 1];
  }

  /** The first change after an instant. */
  after(time: TimeMicros): Moment | undefined {
    return this.#moments[this.#countUntil(time)];
  }

  #countUntil(time: TimeMicros): number {
    let low = 0;
    let high = this.#moments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#moments[middle] as Moment).time <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Instants worth asking for: at, before and after each change. */
  interestingTimes(): TimeMicros[] {
    return [...new Set(this.#moments.flatMap(({ time }) => [time - 1, time, time + 1]))];
  }

  /** The next set of the stream. */
  next(): HistorySet {
    this.#entries = [];
    if (this.#phase === 'start') this.#beginEpoch('baseline');
    else if (this.#phase === 'lost') this.#beginEpoch('agent-crash');
    else if (this.#chance(0.03)) this.#restartAgent();
    else if (this.#phase === 'green' && this.#chance(0.04)) this.#leaveDataMode();
    const nothingElse = this.#entries.length === 0 && this.#phase === 'resync' && this.#chance(0.6);
    for (let count = 1 + randomBelow(this.#random, nothingElse ? 3 : 7); count > 0; count--) {
      if (!nothingElse) this.#step();
      else if (this.#dirty.length > 0) this.#resyncRegion();
    }
    if (this.#entries.length === 0) this.#step();
    return this.#seal();
  }

  /** A set with which the agent sends again what the source holds in a range. */
  rewrite({ offset, length }: { readonly offset: number; readonly length: ByteCount }): HistorySet {
    this.#entries = [];
    this.#tick();
    this.#entries.push({ kind: 'resync-write', time: this.#time, offset, length, bytes: [this.#source.slice(offset, offset + length)] });
    this.#remember();
    return this.#seal();
  }

  /**
   * The sets after this place are lost on their way, so the next set begins an epoch: the agent, whose bitmap has their regions marked still,
   * reads those again. Instants after the place are not to be had any more.
   */
  loseAfter(place: { readonly epoch: number; readonly sequence: number }): void {
    const index = this.sets.findIndex((set) => set.epoch > place.epoch || (set.epoch === place.epoch && set.sequence > place.sequence));
    const lost = index < 0 ? [] : this.sets.splice(index);
    for (const set of lost) for (const { offset, length } of set.entries) if (length > 0) this.#markDirty(offset, length);
    const lastTime = this.sets.at(-1)?.lastTime ?? 0;
    for (const instant of [...this.#moments, ...this.bookmarks]) if (instant.time > lastTime) instant.green = false;
    this.#phase = 'lost';
  }

  #markDirty(offset: number, length: number): void {
    for (let region = Math.floor(offset / REGION); region * REGION < offset + length; region++) if (!this.#dirty.includes(region)) this.#dirty.push(region);
  }

  #seal(): HistorySet {
    this.#sequence++;
    const identity = { pairId: this.pairId, epoch: this.#epoch, sequence: this.#sequence, traceparent: undefined };
    const bytes = Buffer.concat(encodeChangeSet(identity, this.#entries).parts);
    const verified = verifyChangeSet(bytes);
    if (!verified.ok) throw new Error(`${verified.code}: ${verified.detail}`);
    const set = { epoch: this.#epoch, sequence: this.#sequence, folded: false, entries: verified.entries(), data: verified.data, bytes, lastTime: this.#time };
    this.sets.push(set);
    return set;
  }

  #step(): void {
    const roll = this.#random();
    if (this.#phase === 'resync' && roll < 0.55) this.#resyncRegion();
    else if (roll < 0.05) this.#bookmark();
    else if (roll < 0.1) this.#marker({ kind: 'heartbeat' });
    else this.#write(true);
  }

  /** A write of the application; `sent` unless only its region was marked. */
  #write(sent: boolean): void {
    this.#tick();
    const { offset, length } = this.#range();
    const kind = this.#chance(0.75) ? 'write' : this.#chance(0.5) ? 'zero' : 'trim';
    const bytes = kind === 'write' ? this.#bytes(length) : new Uint8Array(length);
    this.#source.set(bytes, offset);
    if (sent) this.#entries.push({ kind, time: this.#time, offset, length, bytes: kind === 'write' ? [bytes] : [] });
    else this.#markDirty(offset, length);
    this.#remember();
  }

  #resyncRegion(): void {
    this.#tick();
    const region = this.#dirty.pop();
    if (region === undefined) {
      this.#phase = 'green';
      this.#time++;
      this.#entries.push(markerEntry(this.#time, { kind: 'resync-read' }));
      return this.#remember();
    }
    const offset = region * REGION;
    const bytes = this.#source.slice(offset, offset + REGION);
    const zero = bytes.every((byte) => byte === 0);
    this.#entries.push({ kind: zero ? 'resync-zero' : 'resync-write', time: this.#time, offset, length: bytes.length, bytes: zero ? [] : [bytes] });
    this.#remember();
  }

  #bookmark(): void {
    this.#tick();
    const bookmarkId = `bookmark-${this.bookmarks.length}`;
    this.#entries.push(markerEntry(this.#time, { kind: 'bookmark', bookmarkId, name: bookmarkId, level: 'user' }));
    this.bookmarks.push({ bookmarkId, time: this.#time, green: this.green });
    this.#remember();
  }

  #marker(marker: StreamMarker): void {
    this.#tick();
    this.#entries.push(markerEntry(this.#time, marker));
    this.#remember();
  }

  /** The agent stops and starts: sometimes cleanly, sometimes with writes that were never sent. */
  #restartAgent(): void {
    if (this.#phase === 'green' && this.#chance(0.4)) return this.#beginEpoch('none');
    this.#phase = 'resync';
    for (let count = randomBelow(this.#random, 4); count > 0; count--) this.#write(false);
    this.#beginEpoch('agent-crash');
  }

  #beginEpoch(reason: ResyncReason): void {
    if (this.#sequence > 0) this.#epoch++;
    this.#sequence = 0;
    if (reason === 'baseline') this.#dirty = [...Array(Math.ceil(this.volumeBytes / REGION)).keys()];
    this.#phase = reason === 'none' ? 'green' : 'resync';
    this.#marker({ kind: 'epoch-started', reason, volumeBytes: this.volumeBytes, resyncBytes: this.#dirty.length * REGION });
  }

  /** Bitmap mode: writes are only marked; then the regions are read into the stream. */
  #leaveDataMode(): void {
    this.#phase = 'resync';
    for (let count = 1 + randomBelow(this.#random, 4); count > 0; count--) this.#write(false);
    this.#marker({ kind: 'resync-started', reason: 'bitmap-mode', resyncBytes: this.#dirty.length * REGION });
  }

  /** Time goes on; inside a set two entries may share an instant. */
  #tick(): void {
    if (this.#entries.length === 0 || this.#chance(0.8)) this.#time += 1 + randomBelow(this.#random, 50);
  }

  #remember(): void {
    const last = this.#moments.at(-1);
    const moment = { time: this.#time, image: this.#source.slice(), green: this.green };
    if (last?.time === this.#time) this.#moments.pop();
    this.#moments.push(moment);
  }

  /** Anywhere, or just behind the last one, as sequential writes are. */
  #range(): { offset: number; length: number } {
    const goesOn = this.#chance(0.2) && this.#rangeEnd < this.volumeBytes;
    const range = goesOn ? { offset: this.#rangeEnd, length: Math.min(this.volumeBytes - this.#rangeEnd, 1 + randomBelow(this.#random, 4000)) } : this.#randomRange();
    this.#rangeEnd = range.offset + range.length;
    return range;
  }

  #randomRange(): { offset: number; length: number } {
    const most = this.#chance(0.1) ? this.volumeBytes : this.#chance(0.5) ? 512 : 9000;
    const offset = this.#chance(0.5) ? randomBelow(this.#random, this.volumeBytes) : randomBelow(this.#random, Math.ceil(this.volumeBytes / 512)) * 512;
    return { offset, length: Math.min(this.volumeBytes - offset, 1 + randomBelow(this.#random, most)) };
  }

  #bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const seed = 1 + randomBelow(this.#random, 255);
    for (let at = 0; at < length; at++) bytes[at] = (seed + at * 7 + (at >> 8)) & 0xff;
    return bytes;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }
}

function markerEntry(time: TimeMicros, marker: StreamMarker): LooseEntry {
  return { kind: 'marker', time, offset: 0, length: 0, bytes: [encodeMarker(marker)] };
}
