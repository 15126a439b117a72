// SPDX-License-Identifier: Apache-2.0
import { PassageMeter } from '@secondsite/change-set';
import type { ChangeSetHops, ProcessServerPairTelemetry } from '@secondsite/contracts';
import { type ByteCount, type Epoch, isoFromMicros, type SequenceNumber, type TimeMicros } from '@secondsite/units';

interface Place {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

export interface ArrivedSet extends Place {
  readonly storedBytes: ByteCount;
  readonly traceparent: string | undefined;
}

interface Passage extends ArrivedSet {
  readonly receivedAt: TimeMicros;
  /** Undefined: it went on without being kept. */
  spoolDurableAt: TimeMicros | undefined;
  sentAt: TimeMicros | undefined;
  forwardedAt: TimeMicros | undefined;
}

/** How one attempt to send a set ended. */
export interface SendingEnd {
  readonly forwarded: boolean;
  /** Of the request itself, without what was done before it. */
  readonly transferMicros: TimeMicros;
  readonly bytes: ByteCount;
  readonly wireBytes: ByteCount;
}

const rememberedMax = 256;

/** Remembers when the last change sets of a pair passed this component, and measures how long they stay. Times are of this host's clock. */
export class HopRecorder {
  readonly #now: () => TimeMicros;
  readonly #passages = new Map<string, Passage>();
  /** Since when each set that is being sent is. */
  readonly #sending = new Map<string, TimeMicros>();
  readonly #answers: PassageMeter;
  readonly #holds: PassageMeter;
  readonly #transfers: PassageMeter;
  readonly #wire: PassageMeter;

  constructor(now: () => TimeMicros) {
    this.#now = now;
    [this.#answers, this.#holds, this.#transfers, this.#wire] = [new PassageMeter(now()), new PassageMeter(now()), new PassageMeter(now()), new PassageMeter(now())];
  }

  /** A set that comes again keeps its first time. */
  received(set: ArrivedSet): void {
    const key = keyOf(set);
    if (this.#passages.has(key)) return;
    this.#passages.set(key, { ...set, receivedAt: this.#now(), spoolDurableAt: undefined, sentAt: undefined, forwardedAt: undefined });
    if (this.#passages.size > rememberedMax) this.#passages.delete(this.#passages.keys().next().value ?? '');
  }

  spooled(place: Place): void {
    const passage = this.#passages.get(keyOf(place));
    if (passage) passage.spoolDurableAt ??= this.#now();
  }

  /** The agent has its answer. */
  answered(place: Place): void {
    const passage = this.#passages.get(keyOf(place));
    if (passage) this.#answers.left(this.#now(), { micros: this.#now() - passage.receivedAt });
  }

  sending(place: Place): void {
    this.#sending.set(keyOf(place), this.#now());
  }

  sent(place: Place, { forwarded, transferMicros, bytes, wireBytes }: SendingEnd): void {
    const [now, passage] = [this.#now(), this.#passages.get(keyOf(place))];
    this.#sending.delete(keyOf(place));
    this.#wire.left(now, { micros: 0, bytes: wireBytes });
    if (!forwarded) return;
    this.#transfers.left(now, { micros: transferMicros, bytes });
    if (!passage || passage.forwardedAt !== undefined) return;
    [passage.sentAt, passage.forwardedAt] = [now - transferMicros, now];
    this.#holds.left(now, { micros: passage.sentAt - passage.receivedAt });
  }

  /** `oldestSince`: when the set came that waits longest in the spool, if one does. */
  telemetry(oldestSince: TimeMicros | undefined): Pick<ProcessServerPairTelemetry, 'stays' | 'bytesPerSecond' | 'wireBytesPerSecond'> {
    const now = this.#now();
    const transfers = this.#transfers.reading(now, this.#sending.values().next().value);
    return {
      stays: {
        answerSeconds: this.#answers.reading(now).seconds, holdSeconds: this.#holds.reading(now, oldestSince).seconds, transferSeconds: transfers.seconds,
      },
      bytesPerSecond: transfers.bytesPerSecond,
      wireBytesPerSecond: this.#wire.reading(now).bytesPerSecond,
    };
  }

  /** Of one set, or of the newest that was forwarded; undefined when it is not remembered. */
  find(pairId: string, wanted: { readonly epoch?: Epoch | undefined; readonly sequence?: SequenceNumber | undefined }): ChangeSetHops | undefined {
    const passages = [...this.#passages.values()].reverse();
    const matches = ({ epoch, sequence }: Passage): boolean => epoch === (wanted.epoch ?? epoch) && sequence === wanted.sequence;
    const passage = passages.find(wanted.sequence === undefined ? ({ forwardedAt }) => forwardedAt !== undefined : matches);
    return passage && toHops(pairId, passage);
  }
}

function keyOf({ epoch, sequence }: Place): string {
  return `${epoch}/${sequence}`;
}

function toHops(pairId: string, { epoch, sequence, storedBytes, traceparent, spoolDurableAt, forwardedAt }: Passage): ChangeSetHops {
  return {
    pairId,
    epoch,
    sequence,
    storedBytes,
    ...(traceparent === undefined ? {} : { traceId: traceparent.slice(3, 35) }),
    hops: [
      ...(spoolDurableAt === undefined ? [] : [{ hop: 'spool-durable' as const, at: isoFromMicros(spoolDurableAt) }]),
      ...(forwardedAt === undefined ? [] : [{ hop: 'forwarded' as const, at: isoFromMicros(forwardedAt) }]),
    ],
  };
}
