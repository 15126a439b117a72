// SPDX-License-Identifier: Apache-2.0
import { encodeChangeSet, encodeMarker, type LooseEntry, verifyChangeSet } from '@secondsite/change-set';
import { largeMemory, openDirectory } from '@secondsite/disk-files';
import { type JournalSet, type OldContent, RetentionJournal, ViewReader } from '@secondsite/retention-journal';
import { KIB, MIB } from '@secondsite/units';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { summarize } from '../measure';
import type { Profiles } from '../profile/profiles';
import type { TableRow } from '../table-row';

const extents = 1_000_000;
const blockBytes = 4 * KIB;
/** Old content that is kept of each block: less than a block, so that the journal is made quickly; opening never reads it. */
const writeBytes = 512;
const setWrites = 10_000;
const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const firstPoint = 1_000_000;

/** Opening a view of the oldest point of a journal with a million undo extents, until its first byte; in no order, as a database leaves them. */
export async function viewRow(rounds: number, profiles: Profiles | undefined): Promise<TableRow> {
  const folder = await mkdtemp(join(tmpdir(), 'secondsite-view-'));
  try {
    const directory = await openDirectory(folder);
    const journal = await makeJournal(await directory.directory('journal'));
    const replica = await directory.open('replica.img', { create: true });
    await replica.truncate(2 ** 20 * blockBytes);
    const millis: number[] = [];
    let [memoryMebibytes, firstMillis] = [0, 0];
    for (let round = 0; round <= rounds; round++) {
      const open = async () => {
        const start = performance.now();
        const opened = await journal.openView(firstPoint);
        new ViewReader({ journal, replica, map: opened }).readNow(Buffer.alloc(1), 0);
        return { map: opened, took: performance.now() - start };
      };
      const { map, took } = await (profiles?.ofOwnProcess('view-open', open) ?? open());
      if (map.extentCount !== extents) throw new Error(`the view has ${map.extentCount} extents`);
      memoryMebibytes = map.memoryBytes / MIB;
      journal.closeView(map);
      if (round > 0) millis.push(took);
      else firstMillis = took;
    }
    const note = `${journal.segmentCount} segments, ${(journal.storedBytes / MIB).toFixed(0)} MiB; the open view's map takes ${memoryMebibytes.toFixed(0)} MiB; the first of the process took ${firstMillis.toFixed(0)} ms`;
    await journal.close();
    await replica.close();
    return { title: 'open a view, 1,000,000 undo extents, until its first byte', unit: 'ms', ours: summarize('openView', millis), peers: [], reach: [{ kind: 'most', ratio: 100 }], note };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function makeJournal(directory: Awaited<ReturnType<typeof openDirectory>>): Promise<RetentionJournal> {
  const journal = await RetentionJournal.open(directory, { memory: largeMemory });
  const old: OldContent = { read: (into, offset) => void into.fill(1 + ((offset / blockBytes) % 255)), nextData: (offset) => ({ offset, length: MIB }) };
  for (let made = 0; made < extents; made += setWrites) {
    const group = journal.beginGroup(old);
    group.addSet(setOf(made));
    await group.commit();
    group.applied();
    await journal.maintain({ windowMicros: 1e15 });
  }
  return journal;
}

/** Writes number `first` and following, each to another block; an odd stride visits every block once. */
function setOf(first: number): JournalSet {
  const entries: LooseEntry[] = [];
  const marker = { kind: 'epoch-started', reason: 'none', volumeBytes: 2 ** 20 * blockBytes, resyncBytes: 0 } as const;
  if (first === 0) entries.push({ kind: 'marker', time: firstPoint, offset: 0, length: 0, bytes: [encodeMarker(marker)] });
  const bytes = [Buffer.alloc(writeBytes)];
  for (let write = first; write < first + setWrites; write++) {
    entries.push({ kind: 'write', time: firstPoint + 1 + write, offset: ((write * 618_033) % 2 ** 20) * blockBytes, length: writeBytes, bytes });
  }
  const identity = { pairId, epoch: 1, sequence: first / setWrites + 1, traceparent: undefined };
  const verified = verifyChangeSet(Buffer.concat(encodeChangeSet(identity, entries).parts));
  if (!verified.ok) throw new Error(verified.detail);
  return { ...identity, folded: false, entries: verified.entries(), data: verified.data };
}
