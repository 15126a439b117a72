// SPDX-License-Identifier: Apache-2.0
// Writes appends in groups: while one group is synced, the next one gathers. One write and one fdatasync per group, whatever its size.
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, type ByteOffset, OperationError } from '@secondsite/units';
import type { LogRecord, RecordPosition } from './log-record';
import { alignmentBytes, encodeRecordHeader, encodeSegmentHeader, recordBytes, recordHeaderBytes, segmentHeaderBytes } from './record-format';
import { Segment } from './segment';
import type { SpareFiles } from './spare-files';

export interface PendingAppend extends LogRecord {
  readonly payloadBytes: ByteCount;
  /** XXH3-64 of the payload. */
  readonly checksum: Uint8Array;
  readonly resolve: (position: RecordPosition) => void;
  readonly reject: (error: unknown) => void;
}

interface GroupCommitOptions {
  readonly directory: StorageDirectory;
  readonly spares: SpareFiles;
  /** The log's segments; new ones are added. */
  readonly segments: Map<number, Segment>;
  readonly segmentBytes: ByteCount;
  readonly groupBytesMax: ByteCount;
  /** A segment was sealed when nobody needed any of its records. */
  readonly onUnneeded: (segment: Segment) => void;
  readonly onCommitted: () => void;
  /** A group was not written; the log may go on. */
  readonly onFailed: (error: unknown) => void;
}

interface Group {
  readonly appends: readonly PendingAppend[];
  readonly segment: Segment;
  readonly isNew: boolean;
}

const zeros = new Uint8Array(alignmentBytes);

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #queue: PendingAppend[] = [];
  #current: Segment | undefined;
  /** The one before. */
  #sealed: Segment | undefined;
  #lastNumber: number;
  #running: Promise<void> | undefined;
  #failure: OperationError | undefined;
  #pendingBytes = 0;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#lastNumber = Math.max(0, ...options.segments.keys());
  }

  get pendingBytes(): ByteCount {
    return this.#pendingBytes;
  }

  add(append: PendingAppend): void {
    this.#queue.push(append);
    this.#pendingBytes += append.payloadBytes;
    this.#running ??= this.#run();
  }

  /** Resolves when no append waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /**
   * Seals the segment being written if it is half full and no append may be on its way to it. A smaller one stays in use although
   * nobody needs its records, or every record of a quiet log would cost a file.
   */
  sealIfIdle(segment: Segment): boolean {
    if (this.#running !== undefined || segment.end < this.#options.segmentBytes / 2) return false;
    segment.sealed = true;
    if (this.#current !== segment) return true;
    this.#current = undefined;
    this.#sealed = segment;
    return true;
  }

  /** Seals the segment being written if nobody needs any of its records and no append is on its way. */
  sealUnneeded(): void {
    const segment = this.#current;
    if (this.#running === undefined && segment && segment.needed.size === 0) this.#seal(segment);
  }

  async #run(): Promise<void> {
    // Appends of the same turn of the event loop make one group.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      if (this.#failure) this.#settle(this.#queue.splice(0), (append) => append.reject(this.#failure));
      else await this.#commit(this.#nextGroup());
    }
    this.#running = undefined;
  }

  /** Takes from the queue what fits the segment and the limit, at least one; begins a new segment when not even the first fits. */
  #nextGroup(): Group {
    const firstBytes = recordBytes(this.#queue[0]?.payloadBytes ?? 0);
    if (this.#current && this.#current.end + firstBytes > this.#options.segmentBytes) this.#seal(this.#current);
    const isNew = this.#current === undefined;
    const segment = (this.#current ??= this.#begin());
    let bytes = 0;
    let count = 0;
    for (const append of this.#queue) {
      const next = recordBytes(append.payloadBytes);
      const fits = bytes + next <= this.#options.groupBytesMax && segment.end + bytes + next <= this.#options.segmentBytes;
      if (count > 0 && !fits) break;
      count += 1;
      bytes += next;
    }
    return { appends: this.#queue.splice(0, count), segment, isNew };
  }

  #begin(): Segment {
    const { directory, spares } = this.#options;
    this.#lastNumber += 1;
    return new Segment({ directory, number: this.#lastNumber, end: segmentHeaderBytes, sealed: false, open: (name) => spares.take(name) });
  }

  #seal(segment: Segment): void {
    segment.sealed = true;
    this.#current = undefined;
    this.#sealed = segment;
    if (segment.needed.size === 0) this.#options.onUnneeded(segment);
  }

  async #commit(group: Group): Promise<void> {
    try {
      if (group.isNew) await this.#finishSealed();
      const positions = await group.segment.use((file) => this.#write(file, group));
      this.#options.onCommitted();
      this.#settle(group.appends, (append, index) => append.resolve(positions[index] as RecordPosition));
    } catch (error) {
      if (group.isNew) await this.#abandon(group.segment);
      this.#options.onFailed(error);
      this.#settle(group.appends, (append) => append.reject(error));
    }
  }

  /** Only the newest segment may hold more than its records: before another is begun, the one before is cut off, or on its way out of the folder. */
  async #finishSealed(): Promise<void> {
    const segment = this.#sealed;
    if (!segment) return;
    if (segment.gone) await segment.gone;
    else await this.#orFail(() => segment.cutOff());
    this.#sealed = undefined;
  }

  /** A segment whose first group failed was emptied again; its number and file are used for the next. */
  async #abandon(segment: Segment): Promise<void> {
    this.#current = undefined;
    this.#lastNumber -= 1;
    await segment.close();
  }

  #settle(appends: readonly PendingAppend[], settle: (append: PendingAppend, index: number) => void): void {
    for (const append of appends) this.#pendingBytes -= append.payloadBytes;
    appends.forEach(settle);
  }

  async #write(file: StorageFile, group: Group): Promise<readonly RecordPosition[]> {
    const { segment, isNew } = group;
    const start: ByteOffset = isNew ? 0 : +segment.end;
    const { parts, positions, end } = layOut(group.appends, segment);
    if (isNew) await this.#orFail(() => this.#options.directory.sync());
    try {
      await file.write(isNew ? [encodeSegmentHeader(segment.number), ...parts] : parts, start);
    } catch (error) {
      await this.#orFail(() => cutBack(file, isNew ? 0 : segment.end));
      throw error;
    }
    await this.#orFail(() => file.sync());
    segment.end = +end;
    for (const position of positions) segment.needed.add(position.offset);
    this.#options.segments.set(segment.number, segment);
    return positions;
  }

  /** After a failed sync nobody knows what the disk holds, so the log refuses everything from then on. */
  async #orFail(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (cause) {
      this.#failure = failed(cause);
      throw this.#failure;
    }
  }
}

/** Takes a half-written group off the file again, durably, so that it can never be mistaken for damage. */
async function cutBack(file: StorageFile, size: ByteCount): Promise<void> {
  await file.truncate(size);
  await file.sync();
}

/** The bytes of a group as they follow the segment's end, and where each record will be. */
function layOut(appends: readonly PendingAppend[], segment: Segment) {
  const parts: Uint8Array[] = [];
  const positions: RecordPosition[] = [];
  const durableBefore: ByteOffset = +segment.end;
  let at = durableBefore;
  for (const { key, parts: payload, payloadBytes, checksum } of appends) {
    const header = { key, segment: segment.number, offset: at, durableBefore, payloadBytes, payloadChecksum: checksum };
    const total = recordBytes(payloadBytes);
    parts.push(encodeRecordHeader(header), ...payload, zeros.subarray(0, total - recordHeaderBytes - payloadBytes));
    positions.push({ segment: segment.number, offset: at, payloadBytes });
    at += total;
  }
  return { parts, positions, end: at };
}

function failed(cause: unknown): OperationError {
  return new OperationError({
    code: 'segment-log/failed',
    operation: 'make records durable',
    retryable: false,
    hint: 'The disk failed to make data durable. Check it and the kernel log, then restart the process.',
    cause,
  });
}
