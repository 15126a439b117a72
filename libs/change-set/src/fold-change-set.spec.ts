// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { encodeChangeSet, type LooseEntry } from './encode-change-set';
import { foldChangeSet } from './fold-change-set';
import { encodeMarker } from './stream-marker';
import { applyToImage, changeSetArbitrary, joinParts } from './testing';
import { type VerifiedChangeSet, verifyChangeSet } from './verify-change-set';

const identity = { pairId: '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e', epoch: 1, sequence: 1, traceparent: undefined };

function verified(bytes: Uint8Array): VerifiedChangeSet {
  const set = verifyChangeSet(bytes);
  if (!set.ok) throw new Error(set.detail);
  return set;
}

describe('folding', () => {
  it('leaves the volume the same at the end of the set, carries no block twice, and is marked', () => {
    let foldedSets = 0;
    fc.assert(
      fc.property(changeSetArbitrary({ volumeBytes: 256 }), (sealed) => {
        const set = verified(joinParts(sealed));
        const folded = foldChangeSet(set);
        if (!folded) return;
        foldedSets++;
        const result = verified(joinParts(folded));
        expect(result.header).toMatchObject({ folded: true, sequence: set.header.sequence, firstTime: set.header.firstTime, lastTime: set.header.lastTime });
        const [left, right] = [new Uint8Array(256).fill(9), new Uint8Array(256).fill(9)];
        applyToImage(left, set);
        applyToImage(right, result);
        expect(right).toEqual(left);
        const touched = new Uint8Array(256);
        for (const { offset, length } of result.entries()) for (let at = offset; at < offset + length; at++) expect((touched[at] = (touched[at] as number) + 1)).toBe(1);
      }),
      { numRuns: 500 },
    );
    expect(foldedSets).toBeGreaterThan(100);
  });

  it('keeps a set with a bookmark inside as it is, folds one that ends with a bookmark', () => {
    const write = (time: number): LooseEntry => ({ kind: 'write', time, offset: 0, length: 1, bytes: [Buffer.from([time])] });
    const bookmark: LooseEntry = { kind: 'marker', time: 2, offset: 0, length: 0, bytes: [encodeMarker({ kind: 'bookmark', bookmarkId: 'b', name: 'n', level: 'user' })] };
    expect(foldChangeSet(verified(joinParts(encodeChangeSet(identity, [write(1), bookmark, write(3)]))))).toBeUndefined();
    expect(foldChangeSet(verified(joinParts(encodeChangeSet(identity, [write(1), write(2), bookmark]))))?.header.entryCount).toBe(2);
  });
});
