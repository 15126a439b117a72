// SPDX-License-Identifier: Apache-2.0
// What holds at every step, looked at after every event: the replica is the source at the cut it stands at (I3), no set is applied out of its
// place (I6), memory and files keep to their limits (I9), no instant that was offered is taken back and views show what was there (I5).
import type { TargetPair } from '@secondsite/master-target/testing';
import type { TimeMicros } from '@secondsite/units';
import { MemoryTally } from './memory-tally';
import { AppliedStream } from './applied-stream';
import { nameOf, type SourceModel, type StreamPlace } from './source-model';

interface Instants {
  readonly from: TimeMicros;
  readonly to: TimeMicros;
}

export class Witness {
  readonly memory = new MemoryTally();
  /** What the target recorded. */
  readonly stream: AppliedStream;
  readonly #model: SourceModel;
  readonly #replica: () => Uint8Array;
  readonly #retentionIsLimited: () => boolean;
  /** Instants that the target offered when it said that it has them durably. */
  #promised: readonly Instants[] = [];
  /** Sets that nobody holds for the next hop any more. */
  readonly #answered = new Map<string, StreamPlace>();
  #seen: StreamPlace = { epoch: 0, sequence: 0 };
  /** How often something was compared. */
  cuts = 0;
  views = 0;

  constructor(options: { readonly model: SourceModel; readonly replica: () => Uint8Array; readonly retentionIsLimited: () => boolean }) {
    this.#model = options.model;
    this.stream = new AppliedStream(options.model);
    this.#replica = options.replica;
    this.#retentionIsLimited = options.retentionIsLimited;
  }

  get promised(): readonly Instants[] {
    return this.#promised;
  }

  get answered(): Iterable<StreamPlace> {
    return this.#answered.values();
  }

  /** The agent forgets a set. */
  forgets(place: StreamPlace): void {
    this.#answered.set(nameOf(place), place);
  }

  /** Sets that were answered until now may be lost, and with them those behind them in their epoch. */
  excuseLosses(): void {
    this.#answered.clear();
  }

  /** The target made a checkpoint; `coveredTime` is the end of what it covers. */
  confirmed(place: StreamPlace, { coveredTime, pair }: { readonly coveredTime: TimeMicros; readonly pair: TargetPair | undefined }): void {
    this.stream.confirmed(place);
    const covered = pair?.points().spans.filter(({ from }) => from <= coveredTime);
    if (covered) this.#promised = covered.map(({ from, to }) => ({ from, to: Math.min(to, coveredTime) }));
  }

  opened(pair: TargetPair): void {
    const { epoch, sequence, lastTime } = pair.journal.applied;
    this.stream.reopened({ epoch, sequence }, lastTime);
    this.#seen = { epoch: 0, sequence: 0 };
    this.expectPromised(pair);
  }

  /** I5: what was offered is still there, but for what retention has let go. */
  expectPromised(pair: Pick<TargetPair, 'points'>): void {
    const points = pair.points();
    const kept = this.#retentionIsLimited() ? (points.earliest ?? Infinity) : 0;
    for (const { from, to } of this.#promised) {
      if (to < kept) continue;
      const span = points.spans.find((candidate) => candidate.from <= Math.max(from, kept) && to <= candidate.to);
      if (!span) throw new Error(`I5: the instants from ${from} to ${to} were offered and are not any more`);
    }
  }

  /** After every event while the pair is open. */
  look(pair: TargetPair): void {
    const { epoch, sequence, green, lastTime } = pair.journal.applied;
    if (epoch === this.#seen.epoch && sequence === this.#seen.sequence) return;
    this.#seen = { epoch, sequence };
    this.stream.advanced({ epoch, sequence }, lastTime);
    if (green) this.#expectCut({ epoch, sequence });
  }

  /** I5: `seen` is what a view of an instant shows. */
  expectView(time: TimeMicros, seen: Uint8Array, stream: AppliedStream = this.stream): void {
    this.views += 1;
    const image = stream.imageAt(time);
    if (!image) throw new Error(`I5: the instant ${time} is offered and nothing that was sent covers it`);
    if (Buffer.compare(image, seen) !== 0) throw new Error(`I5: the view of ${time} differs ${whereOf(image, seen)}`);
  }

  #expectCut(place: StreamPlace): void {
    this.cuts += 1;
    const image = this.#model.imageAfter(this.#model.set(place)?.cut ?? 0);
    if (!image) throw new Error(`I3: the target applied ${nameOf(place)}, which was never sent`);
    const replica = this.#replica();
    if (Buffer.compare(image, replica) !== 0) throw new Error(`I3: the replica is not the source at cut ${nameOf(place)}: it differs ${whereOf(image, replica)}`);
  }
}

export function whereOf(expected: Uint8Array, actual: Uint8Array): string {
  if (expected.length !== actual.length) return `in length, ${actual.length} instead of ${expected.length}`;
  return `at byte ${expected.findIndex((byte, at) => byte !== actual[at])}`;
}
