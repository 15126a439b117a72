// SPDX-License-Identifier: Apache-2.0
import { readWholeFile, replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount, ByteOffset, TimeMicros } from '@secondsite/units';

const NAME = 'scrub.json';

export interface ScrubRound {
  readonly startedAt: TimeMicros;
  readonly endedAt: TimeMicros;
  /** Of replica and journal. */
  readonly readBytes: ByteCount;
  readonly damagedBytes: ByteCount;
}

/** A round that is under way; what it did is kept over restarts. */
export interface ScrubProgress {
  readonly startedAt: TimeMicros;
  /** Of the replica; the journal follows it. */
  readonly cursor: ByteOffset;
  /** Looked at, holes included; and what had to be read for it. */
  readonly doneBytes: ByteCount;
  readonly readBytes: ByteCount;
  readonly damagedBytes: ByteCount;
}

export interface ScrubState {
  /** When a round begins by itself. */
  readonly dueAt: TimeMicros;
  readonly progress?: ScrubProgress;
  readonly lastRound?: ScrubRound;
}

/** Undefined for a pair that was never scrubbed, and when the file cannot be read: then everything is read again. */
export async function readScrubState(directory: StorageDirectory): Promise<ScrubState | undefined> {
  const content = await readWholeFile(directory, NAME);
  try {
    return content && (JSON.parse(Buffer.from(content).toString('utf8')) as ScrubState);
  } catch {
    return undefined;
  }
}

/** Durable when it resolves. One call at a time. */
export function writeScrubState(directory: StorageDirectory, state: ScrubState): Promise<void> {
  return replaceFile(directory, NAME, Buffer.from(JSON.stringify(state)));
}
