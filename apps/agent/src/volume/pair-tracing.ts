// SPDX-License-Identifier: Apache-2.0
// The agent's part of the traces of one pair: remembers the hops of its change sets, and hands over those of sets that are traced, because they were
// sampled when they were sealed or because they are slow or failed. Each set is handed over at most once.
import { type ChangeSetHeader, isSampled } from '@secondsite/change-set';
import { type ChangeSetPlace, LateTraceQueue } from '@secondsite/transport';
import type { TimeMicros } from '@secondsite/units';
import { ChangeSetHopLog, type ChangeSetHops } from './change-set-hop-log';
import { LateTraceJudge } from './late-trace-judge';

export interface PairTracingOptions {
  /** See LateTraceJudge. */
  readonly traceSlowMillis?: number | undefined;
  /** Monotonic. */
  readonly millis: () => number;
  /** A traced set passed the hops of the agent. */
  readonly onPassed?: ((hops: ChangeSetHops) => void) | undefined;
}

export class PairTracing {
  readonly hops = new ChangeSetHopLog();
  /** What the process server has to be told. */
  readonly lateTraces = new LateTraceQueue();
  readonly #options: PairTracingOptions;
  readonly #judge: LateTraceJudge;
  /** Slow sets that are handed over with their answer. */
  #unanswered: ChangeSetPlace[] = [];

  constructor(options: PairTracingOptions) {
    this.#options = options;
    this.#judge = new LateTraceJudge({ slowMillis: options.traceSlowMillis, millis: options.millis });
  }

  sealed(header: ChangeSetHeader, at: TimeMicros): void {
    this.hops.cut(header, at);
    this.#judge.sealed(header, (at - header.firstTime) / 1000);
  }

  answered(header: ChangeSetHeader, answeredAt: TimeMicros): void {
    const hops = this.hops.note(header, { answeredAt });
    this.#unanswered = this.#unanswered.filter(({ epoch, sequence }) => epoch !== header.epoch || sequence !== header.sequence);
    if (hops && (hops.late || isSampled(hops.traceparent))) this.#options.onPassed?.(hops);
  }

  applied(place: ChangeSetPlace): void {
    this.#judge.applied(place);
  }

  /** The process server or the target refused it for good. */
  failed(place: ChangeSetPlace): void {
    this.#trace(place, 'failed');
  }

  /** What was sealed and is not applied comes to nothing: its epoch ended. */
  gaveUp(): void {
    for (const place of this.#unanswered.splice(0)) this.#trace(place, 'failed');
    this.#trace(this.#judge.gaveUp(), 'failed');
  }

  tick(): void {
    this.#trace(this.#judge.slow(), 'slow');
  }

  #trace(place: ChangeSetPlace | undefined, late: 'slow' | 'failed'): void {
    const known = place && this.hops.find(place);
    if (!place || !known || this.#options.traceSlowMillis === undefined || known.late === 'failed') return;
    if (known.answeredAt !== undefined && isSampled(known.traceparent)) return; // Handed over with its answer.
    const hops = this.hops.note(place, { late });
    this.lateTraces.add([{ epoch: place.epoch, sequence: place.sequence }]);
    if (late === 'slow' && known.answeredAt === undefined) this.#unanswered.push(place);
    else if (hops) this.#options.onPassed?.(hops);
  }
}
