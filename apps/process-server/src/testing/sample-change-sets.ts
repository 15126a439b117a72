// SPDX-License-Identifier: Apache-2.0
import { encodeChangeSet, encodeMarker, type LooseEntry } from '@secondsite/change-set';
import type { StreamMarker } from '@secondsite/change-set';

export interface SampleSet {
  readonly pairId: string;
  readonly epoch: number;
  readonly sequence: number;
  /** Default 4096. */
  readonly dataBytes?: number;
  readonly marker?: StreamMarker;
  readonly traceparent?: string;
}

const startMicros = 1_795_000_000_000_000;

/** The data of the sample set of this place: the same for the same place, compressible. */
export function dataOf({ epoch, sequence, dataBytes = 4096 }: SampleSet): Uint8Array {
  return new Uint8Array(dataBytes).map((_, index) => (epoch * 101 + sequence * 31 + (index >> 6)) % 251);
}

/** A whole change set with one write, as bytes on the wire; optionally with a marker after the write. */
export function changeSetBytes(sample: SampleSet): Uint8Array {
  const { pairId, epoch, sequence, marker, traceparent } = sample;
  const data = dataOf(sample);
  const time = startMicros + sequence;
  const write: LooseEntry = { kind: 'write', time, offset: sequence * data.length, length: data.length, bytes: [data] };
  const mark = marker && encodeMarker(marker);
  const entries: LooseEntry[] = mark ? [write, { kind: 'marker', time, offset: 0, length: 0, bytes: [mark] }] : [write];
  return Buffer.concat(encodeChangeSet({ pairId, epoch, sequence, traceparent }, entries).parts);
}
