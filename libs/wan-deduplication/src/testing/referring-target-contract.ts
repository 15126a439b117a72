// SPDX-License-Identifier: Apache-2.0
// What process servers rely on in a master target, real or fake.
import { describe, expect, it } from '@jest/globals';
import { BlockFingerprinter } from '../block-fingerprinter';
import { blockBytesOf, type DeduplicationScope } from '../deduplication-scope';
import { referToBlocks } from '../refer-to-blocks';
import { type ReferringSet, sealReferringSet } from '../referring-set';
import { contentOfVolume, setOfBlocks } from './sample-sets';
import { sha256Now } from '@secondsite/sha256';

/** A target with one pair whose stream is at the beginning of epoch 1. */
export interface ReferringTarget {
  readonly pairId: string;
  readonly scope: DeduplicationScope;
  /** As over the wire. Resolves when what was stored can be referred to. */
  store(bytes: Uint8Array, place: { readonly epoch: number; readonly sequence: number }): Promise<StoredOrNot>;
  /** Of the pair's volume, from its beginning. */
  content(bytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

interface StoredOrNot {
  readonly kind: string;
  readonly code?: string;
  readonly missingBlocks?: readonly number[] | undefined;
}

export function describeReferringTarget(name: string, open: () => Promise<ReferringTarget>): void {
  describe(`${name}, as a target of referring sets`, () => {
    const within = async (run: (target: ReferringTarget) => Promise<void>): Promise<void> => {
      const target = await open();
      try {
        await run(target);
      } finally {
        await target.close();
      }
    };
    const set = ({ pairId, scope }: ReferringTarget, ...[sequence, contents, firstBlock]: [number, readonly number[], number?]): Uint8Array =>
      setOfBlocks({ pairId, scope, sequence, contents, firstBlock: firstBlock ?? 0 });

    it('stores what it has already from a reference, byte for byte', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2, 3, 4]), 1);
      await expectStored(target, await referring(target, { bytes: set(target, 2, [3, 9, 2, 1], 4), known: [1, 2, 3] }), 2);
      const expected = contentOfVolume(target.scope, [1, 2, 3, 4, 3, 9, 2, 1]);
      expect(Buffer.from(await target.content(expected.length)).equals(expected)).toBe(true);
    }));

    it('says which blocks it does not have, stores nothing then, and takes the set in full', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2]), 1);
      const bytes = set(target, 2, [7, 1, 8, 2], 2);
      const refused = await target.store(await referring(target, { bytes, known: [1, 2, 7, 8] }), { epoch: 1, sequence: 2 });
      expect(refused).toMatchObject({ kind: 'refused', code: 'change-set/blocks-missing', missingBlocks: [0, 2] });
      expect(Buffer.from(await target.content(4 * blockBytesOf(target.scope))).subarray(2 * blockBytesOf(target.scope)).every((byte) => byte === 0)).toBe(true);
      await expectStored(target, bytes, 2);
    }));

    it('does not take a block for what it was before it was overwritten', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2]), 1);
      await expectStored(target, set(target, 2, [5]), 2);
      const refused = await target.store(await referring(target, { bytes: set(target, 3, [1, 2], 2), known: [1, 2] }), { epoch: 1, sequence: 3 });
      expect(refused).toMatchObject({ code: 'change-set/blocks-missing', missingBlocks: [0] });
    }));

    it('refuses a damaged referring set as damaged, wherever the damage is', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2]), 1);
      const good = await referring(target, { bytes: set(target, 2, [1, 9], 2), known: [1] });
      for (const at of [5, 17, 40, 100, 226, good.length - 1]) {
        const bad = Uint8Array.from(good);
        bad[at] = (bad[at] as number) ^ 1;
        expect(await target.store(bad, { epoch: 1, sequence: 2 })).toMatchObject({ kind: expect.stringMatching(/corrupt|refused/), code: 'change-set/corrupt' });
      }
      await expectStored(target, good, 2);
    }));

    it('finds nothing for another tenant, and answers it the same for what it has and what it does not', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2]), 1);
      const foreign = { ...target, scope: { ...target.scope, tenantId: 'somebody-else' } };
      const refused = await target.store(await referring(foreign, { bytes: set(target, 2, [1, 7], 2), known: [1, 7] }), { epoch: 1, sequence: 2 });
      expect(refused).toMatchObject({ code: 'change-set/blocks-missing', missingBlocks: [0, 1] });
    }));

    it('believes no fingerprint: a block that only looks like the one meant is missing', () => within(async (target) => {
      await expectStored(target, set(target, 1, [1, 2]), 1);
      const lying = await draft(target, { bytes: set(target, 2, [1, 2], 2), known: [1, 2] });
      const proof = await sha256Now([Buffer.from('other blocks with the same fingerprints')]);
      const refused = await target.store(joined({ ...lying, proof }), { epoch: 1, sequence: 2 });
      expect(refused).toMatchObject({ code: 'change-set/blocks-missing', missingBlocks: [0, 1] });
    }));
  });
}

interface Referred {
  readonly bytes: Uint8Array;
  /** Contents that the sender believes to be there. */
  readonly known: readonly number[];
}

async function referring(target: Pick<ReferringTarget, 'scope'>, referred: Referred): Promise<Uint8Array> {
  return joined(await draft(target, referred));
}

async function draft({ scope }: Pick<ReferringTarget, 'scope'>, { bytes, known }: Referred): Promise<ReferringSet> {
  const fingerprinter = new BlockFingerprinter(scope);
  const fingerprints = new Set(known.map((content) => JSON.stringify(fingerprinter.of(contentOfVolume(scope, [content])))));
  const { referring: made } = await referToBlocks(bytes, { scope, isKnown: (fingerprint) => fingerprints.has(JSON.stringify(fingerprint)), sha256: sha256Now });
  if (!made) throw new Error('nothing of the set was known');
  return made;
}

function joined(set: ReferringSet): Uint8Array {
  return Uint8Array.from(Buffer.concat(sealReferringSet(set)));
}

async function expectStored(target: ReferringTarget, bytes: Uint8Array, sequence: number): Promise<void> {
  expect(await target.store(Uint8Array.from(bytes), { epoch: 1, sequence })).toMatchObject({ kind: 'stored' });
}
