// SPDX-License-Identifier: Apache-2.0
// Append-only log of opaque records in segment files: the process server's spool and the master target's cache.
// Invariants: an append that resolved survives any crash until it is released; a record is served whole and unchanged or not at all;
// records() keeps the order of appending; a segment is synced to its end before the next one is begun, so only the newest can be torn.
import type { StorageDirectory } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError, MIB, OperationError } from '@secondsite/units';
import { GroupCommit } from './group-commit';
import type { LiveRecord, LogRecord, RecordPosition } from './log-record';
import { decodeRecordHeader, payloadChecksum, recordHeaderBytes, sameChecksum } from './record-format';
import { recoverSegments } from './recover-segments';
import type { CorruptRange } from './scan-segment';
import type { Segment } from './segment';
import { SpareFiles } from './spare-files';

export interface SegmentLogOptions {
  /** A segment is closed when the next record would pass this size; one bigger record has a segment of its own. Default 64 MiB. */
  readonly segmentBytes?: ByteCount;
  /** Most bytes of records that one sync serves. Default 32 MiB. */
  readonly groupBytesMax?: ByteCount;
  /** Biggest payload; a longer length on disk is damage. Default 256 MiB. */
  readonly payloadBytesMax?: ByteCount;
  /** Files of released segments that are kept to be written again while much is appended. Default 4. */
  readonly sparesMax?: number;
}

export class SegmentLog {
  /** Damage found at open (FORMAT.md): records that had been durable and cannot be read any more. The owner reports it. */
  readonly corrupt: readonly CorruptRange[];
  readonly #segments: Map<number, Segment>;
  readonly #recovered: readonly LiveRecord[];
  readonly #payloadBytesMax: ByteCount;
  readonly #spareBytesMin: ByteCount;
  readonly #spares: SpareFiles;
  readonly #commit: GroupCommit;
  readonly #removals = new Set<Promise<void>>();
  #removalFailure: Error | undefined;
  #closed = false;

  private constructor(parts: {
    readonly directory: StorageDirectory;
    readonly segments: Map<number, Segment>;
    readonly records: readonly LiveRecord[];
    readonly corrupt: readonly CorruptRange[];
    readonly options: Required<SegmentLogOptions>;
  }) {
    this.#segments = parts.segments;
    this.#recovered = parts.records;
    this.corrupt = parts.corrupt;
    this.#payloadBytesMax = parts.options.payloadBytesMax;
    this.#spareBytesMin = parts.options.segmentBytes / 2;
    this.#spares = new SpareFiles(parts.directory, parts.options.sparesMax);
    this.#commit = new GroupCommit({
      ...parts.options,
      directory: parts.directory,
      spares: this.#spares,
      segments: parts.segments,
      onUnneeded: (segment) => this.#remove(segment),
      onCommitted: () => {
        if (this.#spares.committed()) void this.#follow(this.#spares.remove());
      },
      onFailed: (error) => {
        if (isOperationError(error, 'storage/no-space')) void this.#follow(this.#spares.giveUp());
      },
    });
  }

  /**
   * Reads what is there: removes spare files, cuts off a torn last write, lists damage in `corrupt`, and changes nothing else. The folder belongs to one log.
   * Memory: about 200 bytes per record that is there, and the largest record.
   */
  static async open(directory: StorageDirectory, options: SegmentLogOptions = {}): Promise<SegmentLog> {
    const all = { segmentBytes: 64 * MIB, groupBytesMax: 32 * MIB, payloadBytesMax: 256 * MIB, sparesMax: 4, ...options };
    await SpareFiles.removeLeft(directory);
    const recovered = await recoverSegments(directory, { payloadBytesMax: all.payloadBytesMax });
    return new SegmentLog({ directory, ...recovered, options: all });
  }

  /** The records found at open, in the order they were appended. Released ones may be among them: releasing is not durable. */
  records(): readonly LiveRecord[] {
    return this.#recovered;
  }

  /**
   * Resolves when the record is durable. Appends that wait share one sync, and are written in the order of the calls.
   * Rejects with `storage/no-space` (the log goes on), or `segment-log/failed` after a failed sync: then nothing more is accepted
   * until the log is opened anew, because what the disk holds is not known.
   */
  append(record: LogRecord): Promise<RecordPosition> {
    const payloadBytes = record.parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#closed || payloadBytes > this.#payloadBytesMax) return Promise.reject(new RangeError('log is closed or record too large'));
    return new Promise((resolve, reject) => {
      this.#commit.add({ ...record, payloadBytes, checksum: payloadChecksum(record.parts), resolve, reject });
    });
  }

  /**
   * The payload, in a buffer the caller owns; its memory comes from `memory`, which is asked for a little more than the payload.
   * Throws `segment-log/corrupt-record` when its checksum does not fit.
   */
  async read(position: RecordPosition, memory: (bytes: ByteCount) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes)): Promise<Uint8Array> {
    const segment = this.#segments.get(position.segment);
    if (!segment?.needed.has(position.offset)) throw new RangeError(`record ${position.segment}:${position.offset} was released`);
    const recordLength = recordHeaderBytes + position.payloadBytes;
    const bytes = Buffer.from(memory(recordLength), 0, recordLength);
    const count = await segment.use((file) => file.read(bytes, position.offset));
    const header = decodeRecordHeader(bytes, position);
    const payload = bytes.subarray(recordHeaderBytes);
    const intact = count === bytes.length && header?.payloadBytes === payload.length;
    if (!intact || !sameChecksum(payloadChecksum([payload]), header.payloadChecksum)) throw corruptRecord(position);
    return payload;
  }

  /** Says that a record is not needed any more; its space is freed with the last needed record of its segment. Idempotent, not durable. */
  release(position: RecordPosition): void {
    const segment = this.#segments.get(position.segment);
    if (!segment?.needed.delete(position.offset) || segment.needed.size > 0) return;
    if (segment.sealed || this.#commit.sealIfIdle(segment)) this.#remove(segment);
  }

  /**
   * Frees the segment being written too, if none of its records is needed; it is otherwise kept until it is half full. For quiet
   * times and full disks: the next append costs a new file.
   */
  trim(): void {
    this.#commit.sealUnneeded();
    void this.#follow(this.#spares.remove());
  }

  /** Bytes of all segments and spare files. */
  get bytesInUse(): ByteCount {
    let bytes = this.#spares.bytes;
    for (const segment of this.#segments.values()) bytes += segment.end;
    return bytes;
  }

  /** Records that are durable and not released. */
  get recordCount(): number {
    let count = 0;
    for (const segment of this.#segments.values()) count += segment.needed.size;
    return count;
  }

  /** Payload bytes of appends that are not durable yet; they are held in memory by their callers. */
  get pendingBytes(): ByteCount {
    return this.#commit.pendingBytes;
  }

  /** Waits for appends and removals under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#commit.idle();
    await Promise.all(this.#removals);
    await this.#spares.remove();
    await Promise.all([...this.#segments.values()].map((segment) => segment.close()));
    if (this.#removalFailure !== undefined) throw this.#removalFailure;
  }

  #remove(segment: Segment): void {
    this.#segments.delete(segment.number);
    const mayKeep = !this.#closed && this.#spares.mayKeep && segment.end >= this.#spareBytesMin;
    segment.gone = this.#follow(mayKeep ? this.#spares.keep(segment) : segment.remove());
  }

  #follow(work: Promise<void>): Promise<void> {
    const removal = work
      .catch((error: Error) => {
        if (!isOperationError(error, 'storage/not-found')) this.#removalFailure ??= error;
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
    return removal;
  }
}

function corruptRecord(position: RecordPosition): OperationError {
  return new OperationError({
    code: 'segment-log/corrupt-record',
    operation: 'read record',
    context: { segment: position.segment, offset: position.offset },
    retryable: false,
    hint: 'The disk returned other bytes than were written. Check it; the pair will be resynchronised.',
  });
}
