// SPDX-License-Identifier: Apache-2.0
import type { ByteCount, ByteOffset } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';

/** Something that a resync does with a run of whole regions, and that takes time. */
export class ResyncActivity implements ByteRange {
  readonly offset: ByteOffset;
  readonly length: ByteCount;
  /** Its result is not wanted any more. */
  dropped = false;

  constructor({ offset, length }: ByteRange) {
    this.offset = offset;
    this.length = length;
  }

  covers(offset: ByteOffset): boolean {
    return this.offset <= offset && offset < this.offset + this.length;
  }
}

/** A region written more often than this during one read is read again. */
const WRITTEN_MAX = 1024;

/** Something asked of the source and not answered yet. */
export class ActiveRead extends ResyncActivity {
  /** What the application changed meanwhile. */
  readonly written: ByteRange[] = [];

  /** The application changed a range that touches it, and that stands in the stream. */
  wrote(range: ByteRange): void {
    if (this.written.push(range) > WRITTEN_MAX) this.dropped = true;
  }
}

export function touches(left: ByteRange, right: ByteRange): boolean {
  return left.offset < right.offset + right.length && right.offset < left.offset + left.length;
}

/** Of two ranges that touch. */
export function intersection(left: ByteRange, right: ByteRange): ByteRange {
  const offset = Math.max(left.offset, right.offset);
  return { offset, length: Math.min(left.offset + left.length, right.offset + right.length) - offset };
}

/** What no written range covers of these, which are ascending. */
export function withoutWritten(ranges: readonly ByteRange[], written: readonly ByteRange[]): ByteRange[] {
  const gaps: ByteRange[] = [];
  const sorted = written.toSorted((left, right) => left.offset - right.offset);
  for (const { offset, length } of ranges) {
    let position: ByteOffset = offset;
    for (const range of sorted) {
      const start = Math.min(range.offset, offset + length);
      if (start > position) gaps.push({ offset: position, length: start - position });
      position = Math.max(position, range.offset + range.length);
    }
    if (position < offset + length) gaps.push({ offset: position, length: offset + length - position });
  }
  return gaps;
}

/** Ranges, ascending, with those that lie at most so far apart joined. */
export function joinNear(ranges: readonly ByteRange[], gapBytes: ByteCount): ByteRange[] {
  const joined: { offset: ByteOffset; length: ByteCount }[] = [];
  for (const { offset, length } of ranges) {
    const last = joined.at(-1);
    if (last && offset - (last.offset + last.length) <= gapBytes) last.length = offset + length - last.offset;
    else joined.push({ offset, length });
  }
  return joined;
}
