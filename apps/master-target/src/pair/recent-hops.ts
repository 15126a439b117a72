// SPDX-License-Identifier: Apache-2.0
import { isSampled, PassageMeter, sampledTraceparent } from '@secondsite/change-set';
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import type { TimeMicros } from '@secondsite/units';
import type { SetHops, StreamPlace } from './pair-types';

const REMEMBERED = 400;
/** Traced sets that are not covered by a checkpoint yet, also when they are none of those any more. */
const TRACED_MAX = 256;

/** When the last sets passed each hop, for `secondsite trace`, and how long sets stay. Times are of this host's clock. */
export class RecentHops {
  readonly #clock: () => TimeMicros;
  readonly #onTraced: (hops: SetHops) => void;
  readonly #hops = new Map<string, SetHops>();
  /** Not covered by a checkpoint, however long that takes. */
  readonly #traced = new Map<string, SetHops>();
  readonly #answers: PassageMeter;
  readonly #queue: PassageMeter;
  readonly #apply: PassageMeter;
  #applyingSince: TimeMicros | undefined;

  /** `onTraced`: a traced set is covered by a checkpoint; its trace context says that it is recorded. */
  constructor(clock: () => TimeMicros, onTraced: (hops: SetHops) => void = () => undefined) {
    this.#clock = clock;
    this.#onTraced = onTraced;
    [this.#answers, this.#queue, this.#apply] = [new PassageMeter(clock()), new PassageMeter(clock()), new PassageMeter(clock())];
  }

  begin(hops: SetHops): void {
    this.#hops.set(keyOf(hops), hops);
    if (isSampled(hops.traceparent)) this.#await(hops);
    if (this.#hops.size <= REMEMBERED) return;
    for (const oldest of this.#hops.keys()) {
      this.#hops.delete(oldest);
      break;
    }
  }

  /** This set is to be traced although it was not sampled. One that is not remembered is left out. */
  traceLate(place: StreamPlace): void {
    const known = this.find(place);
    if (known?.traceparent === undefined || isSampled(known.traceparent)) return;
    const hops = { ...known, traceparent: sampledTraceparent(known.traceparent) };
    if (this.#hops.has(keyOf(place))) this.#hops.set(keyOf(place), hops);
    if (hops.coveredAt === undefined) this.#await(hops);
    else this.#onTraced(hops);
  }

  cacheDurable(place: StreamPlace): void {
    this.#note(place, { cacheDurableAt: this.#clock() });
  }

  /** The sender has its answer. */
  answered(place: StreamPlace): void {
    const hops = this.find(place);
    if (hops) this.#answers.left(this.#clock(), { micros: this.#clock() - hops.receivedAt });
  }

  applyBegan(group: readonly StreamPlace[]): void {
    const now = (this.#applyingSince = this.#clock());
    for (const place of group) {
      const hops = this.find(place);
      if (hops) this.#queue.left(now, { micros: now - hops.receivedAt });
      this.#note(place, { applyBeganAt: now });
    }
  }

  undoDurable(group: readonly StreamPlace[]): void {
    const undoDurableAt = this.#clock();
    for (const place of group) this.#note(place, { undoDurableAt });
  }

  applied(group: readonly StreamPlace[]): void {
    const [appliedAt, began] = [this.#clock(), this.#applyingSince];
    this.#applyingSince = undefined;
    for (const place of group) {
      if (began !== undefined) this.#apply.left(appliedAt, { micros: appliedAt - began });
      this.#note(place, { appliedAt });
    }
  }

  /** A checkpoint says that they are durable in the replica. */
  covered(sets: readonly StreamPlace[]): void {
    const coveredAt = this.#clock();
    for (const place of sets) {
      this.#note(place, { coveredAt });
      const hops = this.find(place);
      if (isSampled(hops?.traceparent)) this.#onTraced(hops);
      this.#traced.delete(keyOf(place));
    }
  }

  /** The group is not applied now; it is tried again. */
  applyFailed(): void {
    this.#applyingSince = undefined;
  }

  /** `oldestSince`: when the set came that waits longest to be applied, if one does. */
  stays(oldestSince: TimeMicros | undefined): NonNullable<MasterTargetPairTelemetry['stays']> {
    const now = this.#clock();
    return {
      answerSeconds: this.#answers.reading(now).seconds,
      queueSeconds: this.#queue.reading(now, oldestSince).seconds,
      applySeconds: this.#apply.reading(now, this.#applyingSince).seconds,
    };
  }

  /** A set, or without a place the newest that was applied. */
  find(place?: StreamPlace): SetHops | undefined {
    if (place) return this.#hops.get(keyOf(place)) ?? this.#traced.get(keyOf(place));
    return [...this.#hops.values()].findLast((hops) => hops.appliedAt !== undefined);
  }

  #note(place: StreamPlace, times: Partial<SetHops>): void {
    const known = this.find(place);
    if (!known) return;
    for (const hops of [this.#hops, this.#traced]) if (hops.has(keyOf(place))) hops.set(keyOf(place), { ...known, ...times });
  }

  #await(hops: SetHops): void {
    this.#traced.set(keyOf(hops), hops);
    if (this.#traced.size > TRACED_MAX) this.#traced.delete(this.#traced.keys().next().value ?? '');
  }
}

function keyOf({ epoch, sequence }: StreamPlace): string {
  return `${epoch}/${sequence}`;
}
