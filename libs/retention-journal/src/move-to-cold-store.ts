// SPDX-License-Identifier: Apache-2.0
// Moves a sealed segment's data file to the cold store: checked, sent, confirmed by a listing, noted durably; only then may the local file go. A crash
// leaves either the local file, or the note of whole objects; objects without a note are orphans (see ColdTier.sweep). Memory: one object
// and the columns of the entries.
import { checksum } from '@secondsite/change-set';
import { replaceFile, type StorageDirectory } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { COLD_BLOCK_BYTES, COLD_OBJECT_BLOCKS, type ColdRow, coldName, type ColdName, encodeColdFile, objectName, uploadName } from './cold-format';
import { ColdSegment } from './cold-segment';
import type { ColdTier } from './cold-tier';
import { damaged, notConfirmed } from './journal-failures';
import type { StoredSegment } from './stored-segment';

const OBJECT_BYTES = COLD_BLOCK_BYTES * COLD_OBJECT_BLOCKS;

export interface MoveTools {
  readonly directory: StorageDirectory;
  readonly tier: ColdTier;
  /** Runs `work` while nobody removes or closes the segment's files; rejects when they are gone already. Nothing that waits for the store runs in it. */
  readonly hold: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Gives the thread to others for a moment. When it rejects the move is given up. */
  readonly pause: () => Promise<void>;
}

interface SentData {
  readonly rows: readonly ColdRow[];
  readonly objectBytes: ByteCount;
}

/**
 * Moves the segment and hands over the cold one, at the same address, to `replace` while both can be read. On return the local files may be removed.
 * Rejects with the segment as before when disk or store fail, and with `journal/damaged` before anything is sent of a segment that is not as written.
 */
export async function moveToColdStore(segment: StoredSegment, { directory, tier, hold, pause }: MoveTools, replace: (cold: ColdSegment) => void): Promise<void> {
  const name: ColdName = { base: segment.base, end: segment.end, token: tier.newToken() };
  const objects = tier.objectsOf(uploadName(name));
  await hold(async () => {
    for await (const _ of segment.blocks()) await pause();
  });
  const { rows, objectBytes } = await sendObjects(segment, { objects, tier, hold, pause });
  await hold(async () => {
    const entries = await segment.loadEntries(directory);
    entries.shiftPositions(-segment.address);
    const { base, end, merged, dataBytes, timeline: { start, end: last, spans, bookmarks } } = segment;
    const file = encodeColdFile({ base, end, merged, dataBytes, objectBytes, objects, rows, entries, timeline: { start, end: last, spans, bookmarks } });
    await replaceFile(directory, coldName(name), file);
    const cold = await ColdSegment.open({ directory, name: coldName(name), address: segment.address, tier });
    if (!cold) throw damaged(coldName(name));
    replace(cold);
  });
}

async function sendObjects(segment: StoredSegment, { objects, tier, hold, pause }: Omit<MoveTools, 'directory'> & { readonly objects: string }): Promise<SentData> {
  const rows: ColdRow[] = [];
  const sent = new Map<string, ByteCount>();
  for (let at = 0; at < segment.dataBytes; at += OBJECT_BYTES) {
    const content = new Uint8Array(Math.min(OBJECT_BYTES, segment.dataBytes - at));
    await hold(async () => {
      if ((await segment.file.read(content, at)) < content.length) throw damaged(segment.file.name);
    });
    const stored: Uint8Array[] = [];
    for (let start = 0; start < content.length; start += COLD_BLOCK_BYTES) {
      const block = content.subarray(start, start + COLD_BLOCK_BYTES);
      const compressed = await tier.compress([block]);
      const kept = compressed && compressed.length < block.length ? compressed : block;
      rows.push({ storedBytes: kept.length, checksum: checksum([block]) });
      stored.push(kept);
    }
    const object = Buffer.concat(stored);
    const name = objectName(objects, sent.size);
    await tier.store.put(name, object);
    sent.set(name, object.length);
    await pause();
  }
  await confirm(objects, { tier, sent });
  return { rows, objectBytes: [...sent.values()].reduce((sum, bytes) => sum + bytes, 0) };
}

/** What was answered is also there, all of it and as long as it was. */
async function confirm(objects: string, { tier, sent }: { readonly tier: ColdTier; readonly sent: ReadonlyMap<string, ByteCount> }): Promise<void> {
  let confirmed = 0;
  for await (const page of tier.store.list(`${objects}/`)) confirmed += page.filter(({ name, bytes }) => sent.get(name) === bytes).length;
  if (confirmed < sent.size) throw notConfirmed(objects);
}
