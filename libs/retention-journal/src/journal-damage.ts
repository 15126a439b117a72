// SPDX-License-Identifier: Apache-2.0
// Ranges of the journal's files that are known not to be as they were written. Views refuse exactly these bytes. Kept in a file, because a damaged
// segment opens like any other: opening reads no data. Layout: FORMAT.md.
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';

/** More ranges of one file become one: then the disk is beyond details. */
const RANGES_MAX = 1024;

/** A stretch of one file. */
export interface FileRange {
  readonly at: number;
  readonly length: ByteCount;
}

export class JournalDamage {
  static readonly fileName = 'damage.json';
  readonly #directory: StorageDirectory;
  /** Per file, ascending, disjoint. */
  readonly #ranges: Map<string, FileRange[]>;

  private constructor(directory: StorageDirectory, ranges: Map<string, FileRange[]>) {
    this.#directory = directory;
    this.#ranges = ranges;
  }

  /** What is known of files that are still there. A list that cannot be read is found again by the next scrub. */
  static async open(directory: StorageDirectory): Promise<JournalDamage> {
    const names = new Set(await directory.list());
    const known = parse(await readWholeFile(directory, JournalDamage.fileName));
    return new JournalDamage(directory, new Map(Object.entries(known).filter(([name]) => names.has(name))));
  }

  has(name: string): boolean {
    return this.#ranges.has(name);
  }

  touches(name: string, { at, length }: FileRange): boolean {
    const ranges = this.#ranges.get(name);
    return ranges !== undefined && ranges.some((range) => range.at < at + length && at < range.at + range.length);
  }

  /** Durable when it resolves; false when it was known. One call at a time. Files that are gone are forgotten. */
  async add(name: string, range: FileRange): Promise<boolean> {
    const ranges = this.#ranges.get(name) ?? [];
    if (ranges.some(({ at, length }) => at <= range.at && range.at + range.length <= at + length)) return false;
    this.#ranges.set(name, joined([...ranges, range]));
    const names = new Set(await this.#directory.list());
    for (const other of this.#ranges.keys()) if (!names.has(other)) this.#ranges.delete(other);
    await replaceFile(this.#directory, JournalDamage.fileName, Buffer.from(JSON.stringify({ version: 1, files: Object.fromEntries(this.#ranges) })));
    return true;
  }
}

function joined(ranges: readonly FileRange[]): FileRange[] {
  const result: FileRange[] = [];
  for (const range of ranges.toSorted((left, right) => left.at - right.at)) {
    const last = result.at(-1);
    if (last && (range.at <= last.at + last.length || result.length === RANGES_MAX)) {
      result[result.length - 1] = { at: last.at, length: Math.max(last.at + last.length, range.at + range.length) - last.at };
    } else result.push(range);
  }
  return result;
}

function parse(content: Uint8Array | undefined): Record<string, FileRange[]> {
  try {
    const { version, files } = JSON.parse(Buffer.from(content ?? '{}').toString('utf8')) as { version?: number; files?: Record<string, FileRange[]> };
    return version === 1 ? (files ?? {}) : {};
  } catch {
    return {};
  }
}
