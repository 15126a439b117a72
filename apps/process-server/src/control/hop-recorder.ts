// SPDX-License-Identifier: Apache-2.0
import { isSampled, PassageMeter } from '@secondsite/change-set';
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

/** When a set passed this component. */
export interface Passage extends ArrivedSet {
  readonly receivedAt: TimeMicros;
  /** Undefined: it went on without being kept. */
  spoolDurableAt: TimeMicros | undefined;
  sentAt: TimeMicros | undefined;
  forwardedAt: TimeMicros | undefined;
  /** The master target refused it for good then. */
  refusedAt: TimeMicros | undefined;
  /** Its spans were wanted after all, or from the beginning. */
  traced: boolean;
  handedOver: boolean;
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
/** Traced sets whose end is waited for, besides those; some never end, because their epoch is given up. */
const tracedMax = 256;

/** Remembers when the last change sets of a pair passed this component, and measures how long they stay. Times are of this host's clock. */
export class HopRecorder {
  readonly #now: () => TimeMicros;
  readonly #onTraced: (passage: Passage) => void;
  /** Not ended, however long that takes. */
  readonly #traced = new Map<string, Passage>();
  readonly #passages = new Map<string, Passage>();
  /** Since when each set that is being sent is. */
  readonly #sending = new Map<string, TimeMicros>();
  readonly #answers: PassageMeter;
  readonly #holds: PassageMeter;
  readonly #transfers: PassageMeter;
  readonly #wire: PassageMeter;

  /** `onTraced`: a traced set has ended here, well or not. */
  constructor(now: () => TimeMicros, onTraced: (passage: Passage) => void = () => undefined) {
    this.#now = now;
    this.#onTraced = onTraced;
    [this.#answers, this.#holds, this.#transfers, this.#wire] = [new PassageMeter(now()), new PassageMeter(now()), new PassageMeter(now()), new PassageMeter(now())];
  }

  /** A set that comes again keeps its first time. */
  received(set: ArrivedSet): void {
    const key = keyOf(set);
    if (this.#find(key)) return;
    const unknown = { spoolDurableAt: undefined, sentAt: undefined, forwardedAt: undefined, refusedAt: undefined, handedOver: false };
    const passage: Passage = { ...set, ...unknown, receivedAt: this.#now(), traced: isSampled(set.traceparent) };
    this.#passages.set(key, passage);
    if (passage.traced) this.#await(key, passage);
    if (this.#passages.size > rememberedMax) this.#passages.delete(this.#passages.keys().next().value ?? '');
  }

  /** This set is to be traced although it was not sampled. One that is not remembered is left out. */
  traceLate(place: Place): void {
    const passage = this.#find(keyOf(place));
    if (!passage || passage.traced) return;
    passage.traced = true;
    if (passage.forwardedAt ?? passage.refusedAt) this.#handOver(passage);
    else this.#await(keyOf(place), passage);
  }

  spooled(place: Place): void {
    const passage = this.#find(keyOf(place));
    if (passage) passage.spoolDurableAt ??= this.#now();
  }

  /** The agent has its answer. */
  answered(place: Place): void {
    const passage = this.#find(keyOf(place));
    if (passage) this.#answers.left(this.#now(), { micros: this.#now() - passage.receivedAt });
  }

  sending(place: Place): void {
    this.#sending.set(keyOf(place), this.#now());
  }

  sent(place: Place, { forwarded, transferMicros, bytes, wireBytes }: SendingEnd): void {
    const [now, passage] = [this.#now(), this.#find(keyOf(place))];
    this.#sending.delete(keyOf(place));
    this.#wire.left(now, { micros: 0, bytes: wireBytes });
    if (forwarded) this.#transfers.left(now, { micros: transferMicros, bytes });
    if (!passage || passage.forwardedAt !== undefined) return;
    passage.sentAt = now - transferMicros;
    if (!forwarded) return;
    passage.forwardedAt = now;
    this.#holds.left(now, { micros: passage.sentAt - passage.receivedAt });
    this.#ended(passage);
  }

  /** The master target does not want it, for good. */
  refused(place: Place): void {
    const passage = this.#find(keyOf(place));
    if (!passage) return;
    passage.refusedAt ??= this.#now();
    this.#ended(passage);
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

  #find(key: string): Passage | undefined {
    return this.#passages.get(key) ?? this.#traced.get(key);
  }

  #ended(passage: Passage): void {
    this.#traced.delete(keyOf(passage));
    if (passage.traced) this.#handOver(passage);
  }

  #handOver(passage: Passage): void {
    if (!passage.handedOver) this.#onTraced(passage);
    passage.handedOver = true;
  }

  #await(key: string, passage: Passage): void {
    this.#traced.set(key, passage);
    if (this.#traced.size > tracedMax) this.#traced.delete(this.#traced.keys().next().value ?? '');
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
