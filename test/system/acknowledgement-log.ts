// SPDX-License-Identifier: Apache-2.0
/**
 * An independent record of what a disk acknowledged, kept outside the disk, and the check of a recovered disk against it.
 * Every write fills whole blocks with its own stamp, so that each block names the write it holds; a lost, late, torn or misplaced
 * write shows as a stamp that the log does not allow at that time. (File system checks and checksums alone do not notice these.)
 */
export interface LoggedWrite {
  /** Unique, growing; 0 means the block was never written. */
  readonly stamp: number;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Microseconds, host clock: before the request was sent, and after its acknowledgement was received (undefined: never). */
  readonly issuedAt: number;
  acknowledgedAt: number | undefined;
}

export const blockBytes = 4096;
const stampMagic = 0x5ec0_1d51;

/** Fills `blockCount` blocks with the stamp; every 16 bytes hold (magic, stamp, block number), so that a torn block is seen. */
export function stampedBlocks({ stamp, firstBlock, blockCount }: { stamp: number; firstBlock: number; blockCount: number }): Buffer {
  const data = Buffer.alloc(blockCount * blockBytes);
  for (let position = 0; position < data.length; position += 16) {
    data.writeUInt32LE(stampMagic, position);
    data.writeUIntLE(stamp, position + 4, 6);
    data.writeUIntLE(firstBlock + Math.floor(position / blockBytes), position + 10, 6);
  }
  return data;
}

const zeroBlock = Buffer.alloc(blockBytes);

/** The stamp a block holds; 0 for all zeros; undefined when it is torn, misplaced or garbage. */
export function readStamp(block: Buffer, blockNumber: number): number | undefined {
  if (block.equals(zeroBlock)) return 0;
  const isRepetition = block.subarray(16).equals(block.subarray(0, blockBytes - 16));
  const isHere = block.readUInt32LE(0) === stampMagic && block.readUIntLE(10, 6) === blockNumber;
  return isRepetition && isHere ? block.readUIntLE(4, 6) : undefined;
}

export class AcknowledgementLog {
  readonly #writesByBlock = new Map<number, LoggedWrite[]>();
  #lastStamp = 0;
  #acknowledgedCount = 0;
  #newestAcknowledgement = 0;
  #latencies: number[] = [];

  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  get newestAcknowledgement(): number {
    return this.#newestAcknowledgement;
  }

  /** Microseconds that a write took, of all but the slowest percent of those acknowledged since the last call. */
  takeP99Micros(): number {
    const latencies = this.#latencies.sort((left, right) => left - right);
    this.#latencies = [];
    return latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  }

  issue({ firstBlock, blockCount, at }: { firstBlock: number; blockCount: number; at: number }): LoggedWrite {
    const write: LoggedWrite = { stamp: ++this.#lastStamp, firstBlock, blockCount, issuedAt: at, acknowledgedAt: undefined };
    for (let block = firstBlock; block < firstBlock + blockCount; block++) {
      const writes = this.#writesByBlock.get(block);
      if (writes) writes.push(write);
      else this.#writesByBlock.set(block, [write]);
    }
    return write;
  }

  acknowledge(write: LoggedWrite, at: number): void {
    write.acknowledgedAt = at;
    this.#acknowledgedCount++;
    this.#latencies.push(at - write.issuedAt);
    this.#newestAcknowledgement = at;
  }

  /**
   * The stamps a block may hold in a view of time `at`: any write issued by then that no other write, issued after its
   * acknowledgement and itself acknowledged by `at`, has certainly replaced.
   */
  allowedStamps(block: number, at: number): Set<number> {
    const issued = (this.#writesByBlock.get(block) ?? []).filter((write) => write.issuedAt <= at);
    const certain = issued.filter((write) => write.acknowledgedAt !== undefined && write.acknowledgedAt <= at);
    const newestCertainIssue = Math.max(-1, ...certain.map((write) => write.issuedAt));
    const allowed = issued.filter((write) => write.acknowledgedAt === undefined || write.acknowledgedAt >= newestCertainIssue);
    const stamps = new Set(allowed.map((write) => write.stamp));
    if (certain.length === 0) stamps.add(0);
    return stamps;
  }

  /** Every block of the disk whose content the log does not allow at `at`, in words; empty when the view is right. */
  async violations({ at, blocks, read }: { at: number; blocks: number; read: (firstBlock: number, count: number) => Promise<Buffer> }): Promise<string[]> {
    const found: string[] = [];
    const batch = 256;
    for (let first = 0; first < blocks; first += batch) {
      const count = Math.min(batch, blocks - first);
      const data = await read(first, count);
      for (let index = 0; index < count; index++) {
        const block = first + index;
        const stamp = readStamp(data.subarray(index * blockBytes, (index + 1) * blockBytes), block);
        const allowed = this.allowedStamps(block, at);
        if (stamp === undefined || !allowed.has(stamp)) {
          found.push(`block ${block} at ${at}: holds ${stamp ?? 'garbage'}, allowed ${[...allowed].join(', ')}`);
        }
      }
    }
    return found;
  }
}
