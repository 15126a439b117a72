// SPDX-License-Identifier: Apache-2.0
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import { OperationError } from '@secondsite/units';
import { z } from 'zod';

const placeSchema = z.object({ epoch: z.int().nonnegative(), sequence: z.int().nonnegative() });

/** What must outlive the sets themselves. Written before the sets it speaks of are deleted; may lag behind otherwise. */
const pairStateSchema = z.object({
  version: z.literal(1),
  /** Newest epoch seen: older sets are refused (I6). */
  epoch: z.int().nonnegative(),
  /** Up to here the master target has everything durably. */
  forwarded: placeSchema,
  /** Up to here the master target said that it has applied everything. */
  applied: placeSchema,
  stage: z.enum(['resync', 'differential']),
});
export type PairState = z.infer<typeof pairStateSchema>;
export type StreamPlace = z.infer<typeof placeSchema>;

const stateFile = 'state.json';

export const firstPairState: PairState = Object.freeze({
  version: 1,
  epoch: 0,
  forwarded: { epoch: 0, sequence: 0 },
  applied: { epoch: 0, sequence: 0 },
  stage: 'resync',
});

export async function readPairState(directory: StorageDirectory): Promise<PairState> {
  const content = await readWholeFile(directory, stateFile);
  if (content === undefined) return firstPairState;
  const parsed = pairStateSchema.safeParse(parseJson(Buffer.from(content).toString('utf8')));
  if (parsed.success) return parsed.data;
  throw new OperationError({
    code: 'spool/state-unreadable',
    operation: 'read the state of a pair',
    context: { path: directory.path },
    retryable: false,
    hint: `The file ${directory.path}/${stateFile} is damaged. Remove it: the position is then taken from the master target.`,
  });
}

/** Durable when it resolves; any crash leaves the old or the new state. */
export async function writePairState(directory: StorageDirectory, state: PairState): Promise<void> {
  await replaceFile(directory, stateFile, Buffer.from(`${JSON.stringify(state)}\n`));
}

/** True when `one` is further in the stream than `other`. */
export function isAfter(one: StreamPlace, other: StreamPlace): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
