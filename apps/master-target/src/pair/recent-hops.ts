// SPDX-License-Identifier: Apache-2.0
import { PassageMeter } from '@secondsite/change-set';
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import type { TimeMicros } from '@secondsite/units';
import type { SetHops, StreamPlace } from './pair-types';

const REMEMBERED = 400;

/** When the last sets passed each hop, for `secondsite trace`, and how long sets stay. Times are of this host's clock. */
export class RecentHops {
  readonly #clock: () => TimeMicros;
  readonly #hops = new Map<string, SetHops>();
  readonly #answers: PassageMeter;
  readonly #queue: PassageMeter;
  readonly #apply: PassageMeter;
  #applyingSince: TimeMicros | undefined;

  constructor(clock: () => TimeMicros) {
    this.#clock = clock;
    [this.#answers, this.#queue, this.#apply] = [new PassageMeter(clock()), new PassageMeter(clock()), new PassageMeter(clock())];
  }

  begin(hops: SetHops): void {
    this.#hops.set(keyOf(hops), hops);
    if (this.#hops.size <= REMEMBERED) return;
    for (const oldest of this.#hops.keys()) {
      this.#hops.delete(oldest);
      break;
    }
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
    if (place) return this.#hops.get(keyOf(place));
    return [...this.#hops.values()].findLast((hops) => hops.appliedAt !== undefined);
  }

  #note(place: StreamPlace, times: Partial<SetHops>): void {
    const known = this.#hops.get(keyOf(place));
    if (known) this.#hops.set(keyOf(place), { ...known, ...times });
  }
}

function keyOf({ epoch, sequence }: StreamPlace): string {
  return `${epoch}/${sequence}`;
}
