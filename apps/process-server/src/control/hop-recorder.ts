// SPDX-License-Identifier: Apache-2.0
import type { ChangeSetHops } from '@secondsite/contracts';
import { type ByteCount, type Epoch, isoFromMicros, type SequenceNumber, type TimeMicros } from '@secondsite/units';

interface Passage {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
  readonly storedBytes: ByteCount;
  readonly traceparent: string | undefined;
  /** Undefined: it went on without being kept. */
  readonly spoolDurableAt: TimeMicros | undefined;
  forwardedAt: TimeMicros | undefined;
}

const rememberedMax = 256;

/** Remembers when the last change sets of a pair passed this component. */
export class HopRecorder {
  readonly #passages = new Map<string, Passage>();

  spooled(passage: Omit<Passage, 'forwardedAt'>): void {
    this.#passages.set(`${passage.epoch}/${passage.sequence}`, { ...passage, forwardedAt: undefined });
    if (this.#passages.size > rememberedMax) this.#passages.delete(this.#passages.keys().next().value ?? '');
  }

  forwarded(set: { readonly epoch: Epoch; readonly sequence: SequenceNumber; readonly at: TimeMicros }): void {
    const passage = this.#passages.get(`${set.epoch}/${set.sequence}`);
    if (passage) passage.forwardedAt ??= set.at;
  }

  /** Of one set, or of the newest that was forwarded; undefined when it is not remembered. */
  find(pairId: string, wanted: { readonly epoch?: Epoch | undefined; readonly sequence?: SequenceNumber | undefined }): ChangeSetHops | undefined {
    const passages = [...this.#passages.values()].reverse();
    const matches = ({ epoch, sequence }: Passage): boolean => epoch === (wanted.epoch ?? epoch) && sequence === wanted.sequence;
    const passage = passages.find(wanted.sequence === undefined ? ({ forwardedAt }) => forwardedAt !== undefined : matches);
    return passage && toHops(pairId, passage);
  }
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
