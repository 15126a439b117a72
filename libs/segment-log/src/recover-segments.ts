// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import type { LiveRecord } from './log-record';
import { segmentFromName, segmentName } from './record-format';
import { type CorruptRange, scanSegment, type SegmentScan } from './scan-segment';
import { Segment } from './segment';

export interface RecoveredSegments {
  readonly segments: Map<number, Segment>;
  readonly records: readonly LiveRecord[];
  readonly corrupt: readonly CorruptRange[];
}

/** Scans all segments, oldest first, cuts the torn end off the newest and removes it when nothing is left. All found are sealed. */
export async function recoverSegments(
  directory: StorageDirectory,
  limits: { readonly payloadBytesMax: ByteCount },
): Promise<RecoveredSegments> {
  const numbers = (await directory.list()).map(segmentFromName).filter((number) => number !== undefined);
  numbers.sort((one, other) => one - other);
  const segments = new Map<number, Segment>();
  const records: LiveRecord[] = [];
  const corrupt: CorruptRange[] = [];
  for (const number of numbers) {
    const scan = await recoverSegment(directory, { number, newest: number === numbers.at(-1), ...limits });
    corrupt.push(...scan.corrupt);
    if (scan.records.length === 0 && scan.corrupt.length === 0) {
      await directory.remove(segmentName(number));
      continue;
    }
    const segment = new Segment({ directory, number, end: scan.end, sealed: true });
    for (const { key, offset, payloadBytes } of scan.records) {
      segment.needed.add(offset);
      records.push({ key, position: { segment: number, offset, payloadBytes } });
    }
    segments.set(number, segment);
  }
  return { segments, records, corrupt };
}

async function recoverSegment(
  directory: StorageDirectory,
  segment: { readonly number: number; readonly newest: boolean; readonly payloadBytesMax: ByteCount },
): Promise<SegmentScan> {
  const file = await directory.open(segmentName(segment.number));
  try {
    const scan = await scanSegment({ file, segment: segment.number, newest: segment.newest, payloadBytesMax: segment.payloadBytesMax });
    if (segment.newest) {
      if (scan.end < file.size()) await file.truncate(scan.end);
      // Also without a torn end: what was found may never have been synced, and is now promised to the reader.
      await file.sync();
      await directory.sync();
    }
    return scan;
  } finally {
    await file.close();
  }
}
