// SPDX-License-Identifier: Apache-2.0
import { type ChangeSetHeader, PassageMeter } from '@secondsite/change-set';
import type { ByteCount, Epoch, SequenceNumber, TimeMicros } from '@secondsite/units';

/** When one change set passed the hops of the agent. */
export interface ChangeSetHops {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly storedBytes: ByteCount;
  readonly entryCount: number;
  readonly traceparent: string | undefined;
  readonly firstWriteAt: TimeMicros;
  readonly cutAt: TimeMicros;
  readonly sentAt: TimeMicros | undefined;
  readonly answeredAt: TimeMicros | undefined;
  /** Why it is traced although it was not sampled. */
  readonly late: 'slow' | 'failed' | undefined;
}

const REMEMBERED = 512;

/** Remembers the last few hundred change sets of a pair, for `secondsite trace`. */
export class ChangeSetHopLog {
  readonly #hops = new Map<string, ChangeSetHops>();
  readonly #gather = new PassageMeter(0);
  #lastCutAt: TimeMicros = 0;

  /** How long writes wait until their set is sealed. */
  get gatherSeconds(): number {
    return this.#gather.reading(this.#lastCutAt).seconds;
  }

  cut(header: ChangeSetHeader, at: TimeMicros): void {
    const { epoch, sequence, storedBytes, entryCount, traceparent, firstTime } = header;
    const oldest = this.#hops.keys().next();
    if (this.#hops.size >= REMEMBERED && oldest.value !== undefined) this.#hops.delete(oldest.value);
    const hops = { epoch, sequence, storedBytes, entryCount, traceparent, firstWriteAt: firstTime, cutAt: at, sentAt: undefined, answeredAt: undefined, late: undefined };
    this.#hops.set(keyOf(header), hops);
    this.#lastCutAt = at;
    this.#gather.left(at, { micros: at - firstTime });
  }

  /** Notes what is known now. Returns all hops of the set, when it is still remembered. */
  note(place: { readonly epoch: Epoch; readonly sequence: SequenceNumber }, change: Partial<Pick<ChangeSetHops, 'sentAt' | 'answeredAt' | 'late'>>): ChangeSetHops | undefined {
    const known = this.#hops.get(keyOf(place));
    if (!known) return undefined;
    const hops = { ...known, ...change };
    this.#hops.set(keyOf(place), hops);
    return hops;
  }

  /** Of one set, or of the newest that passed all hops. Undefined when it is not remembered. */
  find(key?: { readonly epoch: Epoch; readonly sequence: SequenceNumber }): ChangeSetHops | undefined {
    if (key) return this.#hops.get(keyOf(key));
    return [...this.#hops.values()].findLast((hops) => hops.answeredAt !== undefined);
  }
}

function keyOf({ epoch, sequence }: { readonly epoch: Epoch; readonly sequence: SequenceNumber }): string {
  return `${epoch}/${sequence}`;
}
