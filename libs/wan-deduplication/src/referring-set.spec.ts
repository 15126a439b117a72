// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { encodeChangeSet } from '@secondsite/change-set';
import { entriesArbitrary, joinParts } from '@secondsite/change-set/testing';
import * as fc from 'fast-check';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { BlockFingerprinter } from './block-fingerprinter';
import { BlockTable } from './block-table';
import { type RebuildOptions, rebuildSet } from './rebuild-set';
import { referToBlocks } from './refer-to-blocks';
import { decodeReferences, encodeReferences, sealReferringSet } from './referring-set';
import { sha256Now } from '@secondsite/sha256';
import { contentOfVolume, setOfBlocks } from './testing';

const scope = { tenantId: 'acme', blockBytes: 16 };
const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const volumeBytes = 512;
const decompress = async (stored: Uint8Array, { bytesMax }: { readonly bytesMax: number }) => zstdDecompressSync(stored, { maxOutputLength: bytesMax });

/** A volume whose blocks are all in the table. */
function replicaOf(volume: Uint8Array, { tenantId } = scope): RebuildOptions & { readonly table: BlockTable } {
  const table = BlockTable.ofBytes(64 * 1024);
  const fingerprinter = new BlockFingerprinter({ tenantId });
  for (let block = 0; block < volume.length / scope.blockBytes; block++) {
    table.put(fingerprinter.of(volume.subarray(block * scope.blockBytes, (block + 1) * scope.blockBytes)), { volume: 1, block });
  }
  const read = async ({ block }: { readonly block: number }, into: Uint8Array): Promise<boolean> => {
    const at = block * scope.blockBytes;
    into.set(volume.subarray(at, at + into.length));
    return at + into.length <= volume.length;
  };
  return { scope: { ...scope, tenantId }, table, read, sha256: sha256Now, decompress, take: (bytes) => new ArrayBuffer(bytes), giveBack: () => undefined };
}

async function referring(bytes: Uint8Array, options: { readonly isKnown: Parameters<typeof referToBlocks>[1]['isKnown']; readonly compressed?: boolean }): Promise<Buffer | undefined> {
  const { referring: set } = await referToBlocks(bytes, { scope, isKnown: options.isKnown, sha256: sha256Now });
  return set && Buffer.concat(sealReferringSet(set, options.compressed ? zstdCompressSync(set.rest) : undefined));
}

describe('a referring set', () => {
  it('is rebuilt to the same bytes, whatever the set holds and whatever of it is known', async () => {
    let referred = 0;
    await fc.assert(
      fc.asyncProperty(entriesArbitrary({ volumeBytes }), fc.array(fc.nat({ max: 255 }), { minLength: 8, maxLength: 32 }), fc.boolean(), async (entries, fills, compressed) => {
        const replica = replicaOf(Buffer.concat(fills.map((fill) => Buffer.alloc(scope.blockBytes, fill))));
        const isKnown = (fingerprint: Parameters<BlockTable['has']>[0]) => replica.table.has(fingerprint);
        const written = entries.map((entry) => (entry.bytes.length > 0 && entry.kind !== 'marker' ? { ...entry, bytes: [new Uint8Array(entry.length).fill(fills[entry.offset % fills.length] as number)] } : entry));
        const set = Uint8Array.from(joinParts(encodeChangeSet({ pairId, epoch: 1, sequence: 1, traceparent: undefined }, written)));
        const wire = await referring(set, { isKnown, compressed });
        if (!wire) return;
        referred += 1;
        const rebuilt = await rebuildSet(wire, replica);
        expect(rebuilt.kind === 'rebuilt' && Buffer.from(rebuilt.bytes).equals(set)).toBe(true);
      }),
    );
    expect(referred).toBeGreaterThan(10);
  });

  it('is never rebuilt to anything else when any of its bytes changes', async () => {
    const replica = replicaOf(contentOfVolume(scope, [1, 2, 3, 4]));
    const set = setOfBlocks({ scope, pairId, sequence: 1, contents: [3, 8, 2, 1], bytesBefore: 5, firstBlock: 7 });
    const wire = (await referring(set, { isKnown: (fingerprint) => replica.table.has(fingerprint) })) as Buffer;
    expect(wire.length).toBeLessThan(set.length + 224);
    for (let at = 0; at < wire.length; at++) {
      const bad = Buffer.from(wire);
      bad[at] = (bad[at] as number) ^ (1 << at % 8);
      expect(await rebuildSet(bad, replica)).toMatchObject({ kind: 'damaged' });
    }
    for (const length of [0, 3, 100, 223, wire.length - 1]) expect(await rebuildSet(wire.subarray(0, length), replica)).toMatchObject({ kind: 'damaged' });
  });

  it('refers to whole aligned blocks only, and not at all where little is known', async () => {
    const fingerprints = async (bytesBefore: number) => (await referToBlocks(setOfBlocks({ scope, pairId, sequence: 1, contents: [1, 2, 3], bytesBefore, firstBlock: 2 }), { scope, isKnown: () => false, sha256: sha256Now })).fingerprints;
    const fingerprinter = new BlockFingerprinter(scope);
    const expected = [1, 2, 3].map((content) => fingerprinter.of(contentOfVolume(scope, [content])));
    expect([...(await fingerprints(7))]).toEqual(expected);
    const many = setOfBlocks({ scope, pairId, sequence: 1, contents: Array.from({ length: 64 }, (_, index) => index + 1) });
    const known = replicaOf(contentOfVolume(scope, [1, 2])).table;
    expect(await referring(many, { isKnown: (fingerprint) => known.has(fingerprint) })).toBeUndefined();
  });

  it('names the blocks that another content took the place of, and forgets them', async () => {
    const volume = Buffer.from(contentOfVolume(scope, [1, 2, 3, 4]));
    const replica = replicaOf(volume);
    const isKnown = (fingerprint: Parameters<BlockTable['has']>[0]) => replica.table.has(fingerprint);
    const wire = (await referring(setOfBlocks({ scope, pairId, sequence: 1, contents: [1, 2, 3, 4] }), { isKnown })) as Buffer;
    volume.fill(0, 16, 32);
    expect(await rebuildSet(wire, replica)).toEqual({ kind: 'missing', references: [1] });
    expect(isKnown(new BlockFingerprinter(scope).of(contentOfVolume(scope, [2])))).toBe(false);
    expect(await rebuildSet(wire, replica)).toEqual({ kind: 'missing', references: [1] });
  });

  it('is one of its tenant: another one finds nothing, not even with the fingerprints of the first (I10)', async () => {
    const volume = contentOfVolume(scope, [1, 2]);
    const own = replicaOf(volume);
    const wire = (await referring(setOfBlocks({ scope, pairId, sequence: 1, contents: [1, 2] }), { isKnown: (fingerprint) => own.table.has(fingerprint) })) as Buffer;
    const other = replicaOf(volume, { ...scope, tenantId: 'other' });
    expect(await rebuildSet(wire, other)).toEqual({ kind: 'missing', references: [0, 1] });
    // Nor with its own proof and fingerprints that were made for it to find something.
    const { referring: foreign } = await referToBlocks(setOfBlocks({ scope, pairId, sequence: 1, contents: [1, 2] }), { scope, isKnown: (fingerprint) => own.table.has(fingerprint), sha256: sha256Now });
    const fingerprinter = new BlockFingerprinter({ tenantId: 'other' });
    const found = decodeReferences(foreign?.references ?? new Uint8Array(0)).map(({ position }, index) => ({ position, fingerprint: fingerprinter.of(volume.subarray(index * 16, (index + 1) * 16)) }));
    const forged = foreign && Buffer.concat(sealReferringSet({ ...foreign, references: encodeReferences(found) }));
    expect(await rebuildSet(forged ?? new Uint8Array(0), other)).toEqual({ kind: 'missing', references: [0, 1] });
    expect(await rebuildSet(wire, { ...other, table: own.table })).toEqual({ kind: 'missing', references: [0, 1] });
  });
});
