// SPDX-License-Identifier: Apache-2.0
// Speed of applying and of opening views, against the bare system calls (read old, append, write new) on the same file system.
// Run: node apps/master-target/dist/testing/apply-bench.js [folder [KiB,KiB…]]
import { encodeChangeSet, encodeMarker, type LooseEntry } from '@secondsite/change-set';
import { clockMicros, openDirectory } from '@secondsite/disk-files';
import { GIB, KIB, MIB } from '@secondsite/units';
import { decompressZstd } from '@secondsite/zstd';
import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TargetPair } from '../pair/target-pair';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const volumeBytes = 1 * GIB;
const setBytes = 8 * MIB;
const content = Buffer.alloc(64 * MIB);
for (let at = 0; at < content.length; at += 4) content.writeUInt32LE((Math.random() * 2 ** 32) >>> 0, at);

function randomSet(sequence: number, blockBytes: number): Uint8Array<ArrayBuffer> {
  const entries: LooseEntry[] = [];
  if (sequence === 1) {
    const started = { kind: 'epoch-started', reason: 'none', volumeBytes, resyncBytes: 0 } as const;
    entries.push({ kind: 'marker', time: sequence * 1e6, offset: 0, length: 0, bytes: [encodeMarker(started)] });
  }
  for (let index = 0; index < setBytes / blockBytes; index++) {
    const from = Math.floor(Math.random() * ((content.length - blockBytes) / 8)) * 8;
    const offset = Math.floor(Math.random() * (volumeBytes / blockBytes)) * blockBytes;
    entries.push({ kind: 'write', time: sequence * 1e6 + index + 1, offset, length: blockBytes, bytes: [content.subarray(from, from + blockBytes)] });
  }
  return Buffer.concat(encodeChangeSet({ pairId, epoch: 1, sequence, traceparent: undefined }, entries).parts);
}

async function applyRate(folder: string, { blockBytes, sets }: { blockBytes: number; sets: number }): Promise<string> {
  const directory = await openDirectory(join(folder, `pair-${blockBytes}`));
  const pair = await TargetPair.open({
    directory, pairId, sizeBytes: volumeBytes, retention: { windowMicros: 1e13 }, decompress: decompressZstd, clock: clockMicros, delay: (millis) => delay(millis),
  });
  pair.start();
  await prefill(folder, `pair-${blockBytes}/replica.img`);
  const made = Array.from({ length: sets }, (_, index) => randomSet(index + 1, blockBytes));
  const start = performance.now();
  for (let at = 0; at < sets; at += 4) {
    await Promise.all(made.slice(at, at + 4).map((set, index) => pair.store(set, { epoch: 1, sequence: at + index + 1 })));
  }
  await pair.idle();
  const rate = (sets * setBytes) / MIB / ((performance.now() - start) / 1000);
  const opening = performance.now();
  const reader = await pair.openReader(1e6);
  const line = `${rate.toFixed(0)} MB/s with the cache; view of the oldest instant: ${reader.map.extentCount} extents in ${(performance.now() - opening).toFixed(0)} ms`;
  pair.closeReader(reader);
  await pair.close();
  return line;
}

async function prefill(folder: string, name: string): Promise<void> {
  const fd = openSync(join(folder, name), 'a+');
  closeSync(fd);
  const file = openSync(join(folder, name), 'r+');
  for (let at = 0; at < volumeBytes; at += content.length) writeSync(file, content, 0, content.length, at);
  fdatasyncSync(file);
  closeSync(file);
}

async function bareRate(folder: string, { blockBytes, sets }: { blockBytes: number; sets: number }): Promise<number> {
  await prefill(folder, 'bare.img');
  const image = openSync(join(folder, 'bare.img'), 'r+');
  const journal = openSync(join(folder, 'bare.journal'), 'w');
  const old = Buffer.alloc(blockBytes);
  const start = performance.now();
  for (let set = 0, position = 0; set < sets; set++) {
    for (let index = 0; index < setBytes / blockBytes; index++, position += blockBytes) {
      const offset = Math.floor(Math.random() * (volumeBytes / blockBytes)) * blockBytes;
      readSync(image, old, 0, blockBytes, offset);
      writeSync(journal, old, 0, blockBytes, position);
      writeSync(image, content, 0, blockBytes, offset);
    }
    fdatasyncSync(journal);
    if (set % 8 === 7) fdatasyncSync(image);
  }
  fdatasyncSync(image);
  const rate = (sets * setBytes) / MIB / ((performance.now() - start) / 1000);
  closeSync(image);
  closeSync(journal);
  return rate;
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), 'ss-apply-bench-'));
  try {
    for (const blockBytes of (process.argv[3] ?? '64,4').split(',').map((kib) => Number(kib) * KIB)) {
      for (let round = 0; round < 2; round++) {
        const bare = await bareRate(folder, { blockBytes, sets: 64 });
        const line = await applyRate(folder, { blockBytes, sets: 64 });
        process.stdout.write(`${blockBytes / KIB} KiB: bare calls ${bare.toFixed(0)} MB/s; target ${line}\n`);
        await rm(join(folder, `pair-${blockBytes}`), { recursive: true });
      }
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

void main();
