// SPDX-License-Identifier: Apache-2.0
// How far the copy of a pair that moves here is, in the file `arrival` of its folder (FORMAT.md). While it is there the folder is no pair.
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import { OperationError } from '@secondsite/units';

const NAME = 'arrival';

/** `copied`: all is durable here and may be handed over; `complete`: it was. Only before `copied` a copy may begin anew. */
export type ArrivalRecord =
  | { readonly state: 'copying'; readonly placement: number }
  | { readonly state: 'copied' | 'complete'; readonly placement: number; readonly copyId: string };

export async function readArrival(directory: StorageDirectory): Promise<ArrivalRecord | undefined> {
  const text = await readWholeFile(directory, NAME);
  return text && (JSON.parse(Buffer.from(text).toString('utf8')) as ArrivalRecord);
}

/** Durable when it resolves. */
export function writeArrival(directory: StorageDirectory, record: ArrivalRecord): Promise<void> {
  return replaceFile(directory, NAME, Buffer.from(JSON.stringify(record)));
}

/** Makes a complete copy the pair that is at home here; nothing when it is that already. Throws `pair/copy-incomplete`. */
export async function settleArrival(directory: StorageDirectory): Promise<void> {
  const record = await readArrival(directory);
  if (!record) return;
  if (record.state !== 'complete') {
    const hint = 'The desired state says that the pair is at home here, but its copy was not handed over. Remove the volume from its plan and protect it again.';
    throw new OperationError({ code: 'pair/copy-incomplete', operation: 'open pair', context: { state: record.state }, retryable: false, hint });
  }
  await directory.remove(NAME);
  await directory.sync();
}
