// SPDX-License-Identifier: Apache-2.0
// What is true of the protected disk: its whole content after each change, and the place of the change in the stream. The oracle of every
// check. It knows nothing of undo, bitmaps or files: what an instant must look like is a remembered image.
import type { VerifiedChangeSet } from '@secondsite/change-set';
import type { Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

export interface StreamPlace {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

/** A set that the agent put on its way. */
export interface SentSet extends StreamPlace {
  /** Changes of the disk before the set was sealed. */
  readonly cut: number;
  readonly firstTime: TimeMicros;
  readonly lastTime: TimeMicros;
  /** Only blocks of a resynchronisation, which the agent reads again when they are lost. */
  readonly isReadAgain: boolean;
}

interface Change {
  readonly image: Uint8Array;
  /** When the change stands in the stream; undefined: it does not. */
  readonly time: TimeMicros | undefined;
}

export class SourceModel {
  /** The change that comes next stands in the stream. */
  capturing = false;
  readonly #read: () => Uint8Array;
  readonly #changes: Change[] = [];
  readonly #cuts = new Map<string, number>();
  readonly #sets = new Map<string, SentSet>();
  #times: { readonly last: TimeMicros } = { last: 0 };

  /** `read`: the disk's content now, in memory of its own. */
  constructor(read: () => Uint8Array) {
    this.#read = read;
    this.#changes.push({ image: read(), time: undefined });
  }

  /** The agent starts, on a disk that may have lost what was not synced. */
  started(times: { readonly last: TimeMicros }): void {
    this.#times = times;
    this.capturing = false;
    this.changed();
  }

  changed(): void {
    this.#changes.push({ image: this.#read(), time: this.capturing ? this.#times.last : undefined });
  }

  /** Of the newest change; undefined when it does not stand in the stream. */
  get newestTime(): TimeMicros | undefined {
    return this.#changes.at(-1)?.time;
  }

  sealed(traceparent: string): void {
    this.#cuts.set(traceparent, this.#changes.length);
  }

  sent(set: VerifiedChangeSet): void {
    const { epoch, sequence, firstTime, lastTime, traceparent } = set.header;
    const cut = this.#cuts.get(traceparent ?? '');
    if (cut === undefined) throw new Error(`set ${epoch}/${sequence} is sent and was never sealed`);
    const isReadAgain = set.entries().every(({ kind }) => kind === 'resync-write' || kind === 'resync-zero');
    this.#sets.set(nameOf({ epoch, sequence }), { epoch, sequence, cut, firstTime, lastTime, isReadAgain });
  }

  set(place: StreamPlace): SentSet | undefined {
    return this.#sets.get(nameOf(place));
  }

  /** The disk after so many changes; undefined for none. */
  imageAfter(changes: number): Uint8Array | undefined {
    return this.#changes[changes - 1]?.image;
  }

  /** The disk at an instant of the set that was sealed after `cut` changes, or between it and the one before. */
  imageAt(time: TimeMicros, cut: number): Uint8Array | undefined {
    let count = cut;
    for (let last = this.#changes[count - 1]; last?.time !== undefined && last.time > time; last = this.#changes[count - 1]) count -= 1;
    return this.imageAfter(count);
  }
}

export function isBefore(one: StreamPlace, other: StreamPlace): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.sequence < other.sequence);
}

export function nameOf({ epoch, sequence }: StreamPlace): string {
  return `${epoch}/${sequence}`;
}
