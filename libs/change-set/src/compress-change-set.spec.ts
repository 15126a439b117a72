// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compressSealed, compressStored, decompressChangeSet } from './compress-change-set';
import { encodeChangeSet } from './encode-change-set';
import { joinParts } from './testing';
import { verifyChangeSet, verifyStored } from './verify-change-set';

const identity = { pairId: '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e', epoch: 1, sequence: 1, traceparent: undefined };
const sealed = encodeChangeSet(identity, [{ kind: 'write', time: 5, offset: 0, length: 8192, bytes: [new Uint8Array(8192).fill(65)] }]);
const compress = async (parts: readonly Uint8Array[]) => zstdCompressSync(Buffer.concat(parts));
const decompress = async (stored: Uint8Array, limits: { readonly bytesMax: number }) => zstdDecompressSync(stored, { maxOutputLength: limits.bytesMax });

async function opened(bytes: Uint8Array) {
  const stored = verifyStored(bytes);
  return stored.ok ? decompressChangeSet(stored, decompress) : stored;
}

describe('a compressed change set', () => {
  it('opens to what it was, from the sender or from a hop between', async () => {
    const plain = verifyChangeSet(joinParts(sealed));
    const stored = verifyStored(joinParts(sealed));
    const atSource = joinParts(await compressSealed(sealed, compress));
    const between = stored.ok ? await compressStored(stored, compress) : undefined;
    expect(atSource.length).toBeLessThan(1000);
    expect(between && joinParts(between)).toEqual(atSource);
    const again = await opened(atSource);
    expect(again.ok && plain.ok && [again.header, again.entries(), Buffer.from(again.data)]).toEqual(plain.ok && [plain.header, plain.entries(), plain.data]);
    expect(verifyChangeSet(atSource)).toMatchObject({ code: 'change-set/compressed' });
  });

  it('is refused when its stored or its inner bytes are damaged', async () => {
    const damaged = joinParts(await compressSealed(sealed, compress));
    damaged[170] = (damaged[170] as number) ^ 1;
    expect(await opened(damaged)).toMatchObject({ ok: false, code: 'change-set/corrupt' });
    const wrongInside = joinParts(await compressSealed(sealed, async (parts) => zstdCompressSync(Buffer.concat(parts).fill(7, 40, 41))));
    expect(await opened(wrongInside)).toMatchObject({ ok: false, code: 'change-set/corrupt' });
  });

  it('is refused when it unpacks to more than it announces', async () => {
    const bomb = joinParts(await compressSealed(sealed, async () => zstdCompressSync(new Uint8Array(50_000_000))));
    expect(await opened(bomb)).toMatchObject({ ok: false, code: 'change-set/corrupt' });
  });

  it('stays plain when compression would not make it smaller', async () => {
    expect(await compressSealed(sealed, async () => new Uint8Array(9000))).toBe(sealed);
  });
});
