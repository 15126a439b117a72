// SPDX-License-Identifier: Apache-2.0
import type { RecordPosition } from '@secondsite/segment-log';
import type { ByteCount, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

/** A change set that is durable in the spool. */
export interface SpooledSet {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly position: RecordPosition;
  readonly bytes: ByteCount;
  /** Unknown for sets of before a restart. */
  readonly firstTime: TimeMicros | undefined;
  readonly traceparent: string | undefined;
  readonly durableAt: TimeMicros | undefined;
  /** Its bytes, while there is room to keep them in memory; `forget` gives the room back. */
  memory: { readonly content: Uint8Array; readonly forget: () => void } | undefined;
}

/** The sets of one epoch that the master target has not acknowledged yet. */
export class EpochQueue {
  readonly epoch: Epoch;
  readonly #sets = new Map<SequenceNumber, SpooledSet>();
  /** Acknowledged by the master target although one before them is not. */
  readonly #acknowledged = new Set<SequenceNumber>();
  #forwarded: SequenceNumber;
  #received: SequenceNumber;
  /** A set that was durable cannot be read any more: nothing after it can be forwarded. */
  damaged = false;

  constructor(epoch: Epoch, forwarded: SequenceNumber) {
    this.epoch = epoch;
    this.#forwarded = forwarded;
    this.#received = forwarded;
  }

  /** Up to here the master target has everything. */
  get forwarded(): SequenceNumber {
    return this.#forwarded;
  }

  /** Up to here no set is missing. */
  get received(): SequenceNumber {
    return this.#received;
  }

  get setCount(): number {
    return this.#sets.size;
  }

  /** All sets that wait, in no order. */
  sets(): Iterable<SpooledSet> {
    return this.#sets.values();
  }

  has(sequence: SequenceNumber): boolean {
    return sequence <= this.#forwarded || this.#sets.has(sequence) || this.#acknowledged.has(sequence);
  }

  /** The master target has it. */
  isAcknowledged(sequence: SequenceNumber): boolean {
    return sequence <= this.#forwarded || this.#acknowledged.has(sequence);
  }

  get(sequence: SequenceNumber): SpooledSet | undefined {
    return this.#sets.get(sequence);
  }

  add(set: SpooledSet): void {
    this.#sets.set(set.sequence, set);
    this.#advance();
  }

  /** Takes a set out that the master target has; undefined when it is not here. */
  acknowledge(sequence: SequenceNumber): SpooledSet | undefined {
    const set = this.#sets.get(sequence);
    this.#sets.delete(sequence);
    if (sequence > this.#forwarded) this.#acknowledged.add(sequence);
    while (this.#acknowledged.delete(this.#forwarded + 1)) this.#forwarded += 1;
    this.#advance();
    return set;
  }

  /** The master target has everything up to `sequence`. Returns what need not be kept. */
  acknowledgeUpTo(sequence: SequenceNumber): SpooledSet[] {
    if (sequence <= this.#forwarded) return [];
    const done = [...this.#sets.values()].filter((set) => set.sequence <= sequence);
    for (const set of done) this.#sets.delete(set.sequence);
    for (const known of this.#acknowledged) if (known <= sequence) this.#acknowledged.delete(known);
    this.#forwarded = sequence;
    while (this.#acknowledged.delete(this.#forwarded + 1)) this.#forwarded += 1;
    this.#advance();
    return done;
  }

  #advance(): void {
    this.#received = Math.max(this.#received, this.#forwarded);
    while (this.#sets.has(this.#received + 1) || this.#acknowledged.has(this.#received + 1)) this.#received += 1;
  }
}
