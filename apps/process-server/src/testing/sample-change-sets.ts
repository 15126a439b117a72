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
  /** Blocks of a resynchronisation instead of a write. */
  readonly resync?: boolean;
  readonly traceparent?: string;
}

const startMicros = 1_795_000_000_000_000;

/** The data of the sample set of this place: the same for the same place, compressible. */
export function dataOf({ epoch, sequence, dataBytes = 4096 }: SampleSet): Uint8Array {
  return new Uint8Array(dataBytes).map((_, index) => (epoch * 101 + sequence * 31 + (index >> 6)) % 251);
}

/**
 * A whole change set as bytes on the wire: one write, or blocks of a resynchronisation with data and without; optionally with a marker after
 * them.
 */
export function changeSetBytes(sample: SampleSet): Uint8Array {
  const { pairId, epoch, sequence, marker, resync = false, traceparent } = sample;
  const data = dataOf(sample);
  const time = startMicros + sequence;
  const offset = sequence * data.length;
  const entries: LooseEntry[] = [{ kind: resync ? 'resync-write' : 'write', time, offset, length: data.length, bytes: [data] }];
  if (resync) entries.push({ kind: 'resync-zero', time, offset: offset + data.length, length: 4096, bytes: [] });
  if (marker) entries.push({ kind: 'marker', time, offset: 0, length: 0, bytes: [encodeMarker(marker)] });
  return Buffer.concat(encodeChangeSet({ pairId, epoch, sequence, traceparent }, entries).parts);
}
