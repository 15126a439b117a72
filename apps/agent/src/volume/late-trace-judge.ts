// SPDX-License-Identifier: Apache-2.0
/**
 * Decides which change sets are traced although they were not sampled: those that fail, and those of which it is not known in time that they are
 * applied. The agent is the one to judge, because it alone has both ends of the way on one clock: when it took the first write, and when it learned
 * that the set is applied. At most one a second, so that an outage does not trace everything that waits for its end.
 */
import type { ChangeSetPlace } from '@secondsite/transport';

export interface LateTraceJudgeOptions {
  /** From the first write of a set until it is known to be applied; undefined: nothing is traced late. */
  readonly slowMillis: number | undefined;
  /** Monotonic. */
  readonly millis: () => number;
}

interface PendingSet extends ChangeSetPlace {
  readonly sinceMillis: number;
}

const intervalMillis = 1000;
const pendingMax = 1024;

export class LateTraceJudge {
  readonly #options: LateTraceJudgeOptions;
  #pending: PendingSet[] = [];
  #judgedMillis = -Infinity;

  constructor(options: LateTraceJudgeOptions) {
    this.#options = options;
  }

  /** A set was sealed; its first write was taken so long ago. */
  sealed({ epoch, sequence }: ChangeSetPlace, ageMillis: number): void {
    if (this.#options.slowMillis === undefined) return;
    this.#pending.push({ epoch, sequence, sinceMillis: this.#options.millis() - ageMillis });
    if (this.#pending.length > pendingMax) this.#pending.shift();
  }

  /** The target has applied everything up to there. */
  applied(place: ChangeSetPlace): void {
    while (this.#pending[0] && !isAfter(this.#pending[0], place)) this.#pending.shift();
  }

  /** What was sealed and is not applied never will be. Returns the set to be traced as failed. */
  gaveUp(): ChangeSetPlace | undefined {
    const [oldest] = this.#pending.splice(0);
    return oldest;
  }

  /** A set that has just become slow, if there is one to be traced. */
  slow(): ChangeSetPlace | undefined {
    const { millis, slowMillis = Infinity } = this.#options;
    const now = millis();
    const [oldest] = this.#pending;
    if (!oldest || now - oldest.sinceMillis <= slowMillis) return undefined;
    this.#pending = this.#pending.filter(({ sinceMillis }) => now - sinceMillis <= slowMillis);
    if (now - this.#judgedMillis < intervalMillis) return undefined;
    this.#judgedMillis = now;
    return oldest;
  }
}

function isAfter(left: ChangeSetPlace, right: ChangeSetPlace): boolean {
  return left.epoch > right.epoch || (left.epoch === right.epoch && left.sequence > right.sequence);
}
