// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressSealed, decompressChangeSet } from './compress-change-set';
import { encodeChangeSet, type LooseEntry } from './encode-change-set';
import { foldChangeSet } from './fold-change-set';
import { encodeMarker } from './stream-marker';
import { joinParts } from './testing';
import { verifyChangeSet, verifyStored } from './verify-change-set';

const identity = { pairId: '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e', epoch: 3, sequence: 4_294_967_297, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
const time = 1_795_301_432_000_001;
const entries: LooseEntry[] = [
  { kind: 'marker', time, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'epoch-started', reason: 'agent-crash', volumeBytes: 2 ** 40, resyncBytes: 8192 })] },
  { kind: 'write', time: time + 1, offset: 2 ** 33, length: 16, bytes: [Buffer.alloc(16, 'first ')] },
  { kind: 'write', time: time + 2, offset: 2 ** 33 + 8, length: 16, bytes: [Buffer.alloc(16, 'second ')] },
  { kind: 'zero', time: time + 3, offset: 4096, length: 4096, bytes: [] },
  { kind: 'trim', time: time + 3, offset: 8192, length: 0xffffffff, bytes: [] },
  { kind: 'resync-write', time: time + 4, offset: 512, length: 512, bytes: [Buffer.alloc(512, 'block ')] },
  { kind: 'resync-zero', time: time + 5, offset: 1024, length: 1024, bytes: [] },
  { kind: 'marker', time: time + 6, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'bookmark', bookmarkId: 'b-1', name: 'before upgrade', level: 'user' })] },
];

const plain = encodeChangeSet(identity, entries);
const verified = verifyChangeSet(joinParts(plain));
const folded = verified.ok ? foldChangeSet(verified) : undefined;

function golden(name: string): Buffer {
  return readFileSync(join(__dirname, 'testing', 'golden', name));
}

describe('golden files of version 1', () => {
  it('plain and folded are written today as they were when the version was released', () => {
    expect(joinParts(plain)).toEqual(golden('v1-plain.change-set'));
    expect(folded && joinParts(folded)).toEqual(golden('v1-folded.change-set'));
  });

  it('compressed is read to the same content (a compressor may choose other bytes)', async () => {
    const stored = verifyStored(golden('v1-zstd.change-set'));
    const opened = stored.ok && (await decompressChangeSet(stored, async (bytes) => zstdDecompressSync(bytes)));
    expect(opened && opened.ok && verified.ok && [opened.header, opened.entries()]).toEqual(verified.ok && [verified.header, verified.entries()]);
  });
});

/** Run once with WRITE_GOLDEN=1 when a new version of the format is released; released files never change. */
if (process.env['WRITE_GOLDEN'] === '1') {
  const write = (name: string, bytes: Uint8Array) => {
    const file = join(__dirname, 'testing', 'golden', name);
    if (!existsSync(file)) writeFileSync(file, bytes);
  };
  write('v1-plain.change-set', joinParts(plain));
  if (folded) write('v1-folded.change-set', joinParts(folded));
  void compressSealed(plain, async (parts) => zstdCompressSync(Buffer.concat(parts))).then((set) => write('v1-zstd.change-set', joinParts(set)));
}
