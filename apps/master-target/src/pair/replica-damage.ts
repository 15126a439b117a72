// SPDX-License-Identifier: Apache-2.0
// Blocks of the replica that its disk changed: what stands there was true at no time. From when one is found until the source has sent it again,
// views refuse those bytes, and undo that would save them says that they are lost. Invariants: a block is in the file before anybody is told of
// it; it leaves the file only when what repaired it is durable in the replica, or is written again from the cache after a crash; it leaves the
// list in the turn in which it is written. Layout: FORMAT.md.
import type { BlockHasher } from '@secondsite/block-checksums';
import { bytesOf, type ChangeEntry, type VerifiedChangeSet } from '@secondsite/change-set';
import { readWholeFile, replaceFile, type StorageDirectory, type StorageFile } from '@secondsite/durable-storage';
import { type ByteCount, isOperationError } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';

/** A disk with more of them has to be replaced; what else is damaged is found when these are repaired. */
const BLOCKS_MAX = 4096;

/** `expected`: checksum of what was written there. */
export interface DamagedBlock extends ByteRange {
  readonly expected: Buffer | undefined;
}

interface Block {
  readonly offset: number;
  readonly length: ByteCount;
  /** Undefined when it is not known, or something was written to the block since. */
  expected: Buffer | undefined;
  /** Parts of it that have not been written since, ascending; none: it is repaired. */
  rest: readonly ByteRange[];
  /** What stood there is not known: instants before the repair lack it. */
  isLost: boolean;
}

/** A block that is right again. `isLost`: what it held before is not known. */
export interface RepairedBlock extends ByteRange {
  readonly isLost: boolean;
}

export class ReplicaDamage {
  static readonly fileName = 'replica-damage.json';
  readonly #directory: StorageDirectory;
  readonly #replica: StorageFile;
  readonly #hasher: BlockHasher;
  #blocks: Block[];
  #isStored = true;
  #writing: Promise<void> = Promise.resolve();

  private constructor(parts: { readonly directory: StorageDirectory; readonly replica: StorageFile; readonly hasher: BlockHasher; readonly blocks: Block[] }) {
    this.#directory = parts.directory;
    this.#replica = parts.replica;
    this.#hasher = parts.hasher;
    this.#blocks = parts.blocks;
  }

  static async open(parts: { readonly directory: StorageDirectory; readonly replica: StorageFile; readonly hasher: BlockHasher }): Promise<ReplicaDamage> {
    const content = await readWholeFile(parts.directory, ReplicaDamage.fileName);
    return new ReplicaDamage({ ...parts, blocks: content ? decode(content) : [] });
  }

  /** What is damaged now, neighbours together. */
  get ranges(): ByteRange[] {
    return joined(this.#blocks.flatMap(({ rest }) => rest));
  }

  get bytes(): ByteCount {
    return this.#blocks.reduce((sum, { rest }) => sum + rest.reduce((bytes, { length }) => bytes + length, 0), 0);
  }

  /** The damaged parts of [start, end), ascending (see OldContent). */
  readonly lostIn = (start: number, end: number): readonly ByteRange[] => {
    if (this.#blocks.length === 0) return [];
    return this.#blocks.flatMap(({ rest }) => rest).flatMap((range) => clipped(range, { start, end }));
  };

  /** False: it is known, or there are too many to keep. Counts from the call on; durable when it resolves. */
  async add({ offset, length, expected }: DamagedBlock): Promise<boolean> {
    const known = this.#blocks.find((block) => block.offset === offset);
    if (known?.rest[0]?.length === length || (!known && this.#blocks.length >= BLOCKS_MAX)) return false;
    // A block of which a part was written since, and is damaged again: its checksum is of what was damaged before.
    const isAgain = known !== undefined && known.rest.length > 0;
    const block = { offset, length, expected: isAgain ? undefined : expected, rest: [{ offset, length }], isLost: isAgain };
    this.#blocks = [...this.#blocks.filter((other) => other !== known), block].sort((left, right) => left.offset - right.offset);
    this.#isStored = false;
    await this.#store();
    return true;
  }

  /** True when one of the sets brings a damaged block as a whole: then `heal` comes before their undo is made. */
  mayHeal(sets: readonly VerifiedChangeSet[]): boolean {
    return this.#blocks.some((block) => block.rest.length > 0 && wholeContentOf(block, sets) !== undefined);
  }

  /**
   * Before the undo of the sets is made, and in a turn in which the replica may be changed: a block that comes as a whole, and is what was
   * written here before as its checksum proves, is put back first. So no instant lacks it. The same when the replica holds it already: then
   * it was the kept checksum that was damaged.
   */
  heal(sets: readonly VerifiedChangeSet[]): void {
    for (const block of this.#blocks) {
      const content = block.rest.length > 0 && wholeContentOf(block, sets);
      if (!content) continue;
      const isTrue = block.expected !== undefined && this.#hasher.checksumsOf(content).equals(block.expected);
      if (isTrue) this.#replica.writeNow(content, block.offset);
      if (isTrue || this.#holds(block, content)) this.#clear(block);
    }
  }

  /** In the turn in which the replica is written, behind the undo. */
  written(set: VerifiedChangeSet): void {
    if (this.#blocks.every(({ rest }) => rest.length === 0)) return;
    for (const entry of set.entries()) if (entry.length > 0) for (const block of this.#blocks) this.#overwrite(block, entry);
  }

  /**
   * Makes durable what was written since, and returns the blocks that are right again. What the replica holds has to be durable before, or be
   * written again after a crash.
   */
  async settle(): Promise<readonly RepairedBlock[]> {
    if (this.#isStored) return [];
    const repaired = this.#blocks.filter(({ rest }) => rest.length === 0);
    this.#blocks = this.#blocks.filter(({ rest }) => rest.length > 0);
    await this.#store();
    return repaired.map(({ offset, length, isLost }) => ({ offset, length, isLost }));
  }

  #store(): Promise<void> {
    const turn = this.#writing.then(async () => {
      if (this.#isStored) return;
      this.#isStored = true;
      await replaceFile(this.#directory, ReplicaDamage.fileName, encode(this.#blocks));
    });
    this.#writing = turn.catch(() => void (this.#isStored = false));
    return turn;
  }

  #holds({ offset, length }: ByteRange, content: Uint8Array): boolean {
    const found = Buffer.alloc(length);
    try {
      return this.#replica.readNow(found, offset) === length && found.equals(content);
    } catch (error) {
      if (isOperationError(error, 'storage/io-error')) return false;
      throw error;
    }
  }

  #clear(block: Block): void {
    block.rest = [];
    this.#isStored = false;
  }

  #overwrite(block: Block, { offset, length }: ChangeEntry): void {
    const end = offset + length;
    if (block.rest.length === 0 || end <= block.offset || offset >= block.offset + block.length) return;
    block.rest = block.rest.flatMap((range) => [...clipped(range, { start: 0, end: offset }), ...clipped(range, { start: end, end: Infinity })]);
    block.expected = undefined;
    block.isLost = true;
    this.#isStored = false;
  }
}

/** What the newest entry that covers all of the block makes of it; undefined when there is none. */
function wholeContentOf({ offset, length }: ByteRange, sets: readonly VerifiedChangeSet[]): Uint8Array | undefined {
  for (const set of sets.toReversed()) {
    const entry = set.entries().findLast((one) => one.offset <= offset && offset + length <= one.offset + one.length);
    if (entry) return entry.dataLength > 0 ? bytesOf(entry, set.data).subarray(offset - entry.offset, offset - entry.offset + length) : new Uint8Array(length);
  }
  return undefined;
}

function clipped({ offset, length }: ByteRange, { start, end }: { readonly start: number; readonly end: number }): ByteRange[] {
  const [from, to] = [Math.max(offset, start), Math.min(offset + length, end)];
  return from < to ? [{ offset: from, length: to - from }] : [];
}

function joined(ranges: readonly ByteRange[]): ByteRange[] {
  const result: ByteRange[] = [];
  for (const { offset, length } of ranges) {
    const last = result.at(-1);
    if (last && last.offset + last.length === offset) result[result.length - 1] = { offset: last.offset, length: last.length + length };
    else result.push({ offset, length });
  }
  return result;
}

interface StoredBlock extends ByteRange {
  readonly expected?: string;
  readonly rest: readonly ByteRange[];
  readonly isLost: boolean;
}

function encode(blocks: readonly Block[]): Uint8Array {
  const stored: StoredBlock[] = blocks.map(({ expected, ...block }) => ({ ...block, ...(expected && { expected: expected.toString('hex') }) }));
  return Buffer.from(JSON.stringify({ version: 1, blocks: stored }));
}

function decode(content: Uint8Array): Block[] {
  const { blocks } = JSON.parse(Buffer.from(content).toString('utf8')) as { readonly blocks: readonly StoredBlock[] };
  return blocks.map(({ expected, ...block }) => ({ ...block, expected: expected === undefined ? undefined : Buffer.from(expected, 'hex') }));
}
