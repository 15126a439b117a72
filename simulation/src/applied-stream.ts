// SPDX-License-Identifier: Apache-2.0
// The sets that the target recorded, in order, and what that makes of every instant. Invariants: sequences follow each other inside an epoch,
// epochs only grow (I6), and what the target said it has durably is never taken back (I3).
import type { Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';
import { isBefore, nameOf, type SentSet, type SourceModel, type StreamPlace } from './source-model';

/** A set with the times that its instants have at the target. */
interface AppliedSet extends StreamPlace {
  readonly cut: number;
  readonly lastTime: TimeMicros;
  /** The host's clock had gone back: only the end is an instant. */
  readonly coarse: boolean;
}

export class AppliedStream {
  readonly #model: SourceModel;
  readonly #applied: AppliedSet[];
  #confirmed: StreamPlace = { epoch: 0, sequence: 0 };

  constructor(model: SourceModel, applied: readonly AppliedSet[] = []) {
    this.#model = model;
    this.#applied = [...applied];
  }

  /** The same until now. */
  copy(): AppliedStream {
    const copy = new AppliedStream(this.#model, this.#applied);
    copy.#confirmed = this.#confirmed;
    return copy;
  }

  /** The place up to which the target has recorded. */
  get place(): StreamPlace {
    return this.#applied.at(-1) ?? { epoch: 0, sequence: 0 };
  }

  /** The last set of an epoch that was applied; 0 when none was. */
  lastOf(epoch: Epoch): SequenceNumber {
    return this.#applied.findLast((set) => set.epoch === epoch)?.sequence ?? 0;
  }

  /** The target says that everything up to here is durable in the replica. */
  confirmed({ epoch, sequence }: StreamPlace): void {
    this.#confirmed = { epoch, sequence };
  }

  /** The target stands here now. `coveredTime` tells which sets of an epoch that is over are among those it applied since. */
  advanced(place: StreamPlace, coveredTime: TimeMicros): void {
    const before = this.place;
    if (isBefore(place, before)) throw new Error(`I6: set ${nameOf(place)} was applied after ${nameOf(before)}`);
    const known = this.#applied.length;
    for (const ends of this.#waysTo(place, before)) {
      this.#applied.length = known;
      for (const end of ends) this.#appliedUpTo(end);
      if (this.#applied.length === 0 || this.#applied.at(-1)?.lastTime === coveredTime) return;
    }
    throw new Error(`nothing that was sent leads from ${nameOf(before)} to ${nameOf(place)}`);
  }

  /** Where the epochs on the way may have ended: first of all with the last set that was sent. */
  *#waysTo(place: StreamPlace, from: StreamPlace): Generator<StreamPlace[]> {
    if (from.epoch === place.epoch) {
      yield [place];
      return;
    }
    let last = from.sequence;
    while (this.#model.set({ epoch: from.epoch, sequence: last + 1 })) last += 1;
    for (; last >= from.sequence; last--) {
      for (const rest of this.#waysTo(place, { epoch: from.epoch + 1, sequence: 0 })) yield [{ epoch: from.epoch, sequence: last }, ...rest];
    }
  }

  #apply(place: StreamPlace): void {
    const set = this.#model.set(place);
    if (!set) throw new Error(`set ${nameOf(place)} was applied and never sent`);
    this.#applied.push(this.#effective(set));
  }

  /**
   * The target was opened and stands here: what was recorded before it ended and not told counts as applied, what was not durable is taken
   * back.
   */
  reopened(place: StreamPlace, coveredTime: TimeMicros): void {
    if (isBefore(place, this.#confirmed)) throw new Error(`I3: the target said it has ${nameOf(this.#confirmed)} and stands at ${nameOf(place)} after it was opened again`);
    while (isBefore(place, this.place)) this.#applied.pop();
    this.advanced(place, coveredTime);
  }

  /** What a view of an instant that is offered must show; undefined when no set that was applied says so. */
  imageAt(time: TimeMicros): Uint8Array | undefined {
    const index = this.#firstEndingAtOrAfter(time);
    const set = this.#applied[index];
    if (!set) return undefined;
    if (!set.coarse) return this.#model.imageAt(time, set.cut);
    return this.#model.imageAfter(time === set.lastTime ? set.cut : (this.#applied[index - 1]?.cut ?? 0));
  }

  #appliedUpTo({ epoch, sequence }: StreamPlace): void {
    const from = this.place.epoch === epoch ? this.place.sequence : 0;
    for (let next = from + 1; next <= sequence; next++) this.#apply({ epoch, sequence: next });
  }

  #effective({ epoch, sequence, cut, firstTime, lastTime }: SentSet): AppliedSet {
    const before = this.#applied.at(-1)?.lastTime ?? 0;
    return { epoch, sequence, cut, lastTime: Math.max(lastTime, before + 1), coarse: firstTime <= before };
  }

  #firstEndingAtOrAfter(time: TimeMicros): number {
    let low = 0;
    for (let high = this.#applied.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((this.#applied[middle] as AppliedSet).lastTime < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
