// SPDX-License-Identifier: Apache-2.0
// That a pair was handed over to another master target, in the file `handed-over` of its folder (FORMAT.md). It decides which of two targets is the
// pair's: while it is there nothing is taken here.
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';

const NAME = 'handed-over';

export interface HandOverRecord {
  readonly copyId: string;
  /** Number of the move. */
  readonly placement: number;
}

export async function readHandOver(directory: StorageDirectory): Promise<HandOverRecord | undefined> {
  const text = await readWholeFile(directory, NAME);
  return text && (JSON.parse(Buffer.from(text).toString('utf8')) as HandOverRecord);
}

/** Durable when it resolves. */
export function writeHandOver(directory: StorageDirectory, record: HandOverRecord): Promise<void> {
  return replaceFile(directory, NAME, Buffer.from(JSON.stringify(record)));
}

/** The pair is at home here again. Durable when it resolves. */
export async function removeHandOver(directory: StorageDirectory): Promise<void> {
  await directory.remove(NAME);
  await directory.sync();
}
