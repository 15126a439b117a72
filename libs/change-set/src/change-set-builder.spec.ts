// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { ChangeSetBuilder, isAllZeros } from './change-set-builder';
import { encodeChangeSet, type LooseEntry } from './encode-change-set';
import { entriesArbitrary, joinParts } from './testing';
import { verifyChangeSet } from './verify-change-set';

const identity = { pairId: '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e', epoch: 2, sequence: 7, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
const small = { dataBytes: 4096, entriesMax: 64 };
const builderOf = (bounds: typeof small) => new ChangeSetBuilder(new Uint8Array(ChangeSetBuilder.segmentBytes(bounds)), bounds);

function append(builder: ChangeSetBuilder, entry: LooseEntry): void {
  if (entry.kind === 'marker') builder.appendMarker(entry.time, { kind: 'heartbeat' });
  else if (entry.kind === 'write' || entry.kind === 'resync-write') builder.appendBytes({ ...entry, kind: entry.kind }, entry.bytes);
  else builder.appendRange({ ...entry, kind: entry.kind });
}

describe('building a change set in reserved memory', () => {
  it('gives the same bytes as encoding its entries at once, again after a reset', () => {
    const builder = builderOf(small);
    fc.assert(
      fc.property(entriesArbitrary({ volumeBytes: 512 }), (entries) => {
        builder.reset();
        for (const entry of entries) append(builder, entry);
        expect(joinParts(builder.seal(identity))).toEqual(joinParts(encodeChangeSet(identity, entries)));
      }),
    );
  });

  it('turns a write of nothing but zeros into a zero entry when asked to', () => {
    const builder = builderOf(small);
    builder.appendBytes({ kind: 'write', time: 1, offset: 8 }, [new Uint8Array(100), new Uint8Array(28)], { detectZeros: true });
    builder.appendBytes({ kind: 'resync-write', time: 2, offset: 0 }, [Buffer.from([0, 1])], { detectZeros: true });
    const set = verifyChangeSet(joinParts(builder.seal(identity)));
    expect(set.ok && set.entries()).toMatchObject([{ kind: 'zero', offset: 8, length: 128, dataLength: 0 }, { kind: 'resync-write', length: 2 }]);
  });

  it('says what fits, and refuses what does not', () => {
    const builder = builderOf(small);
    expect([builder.fits(4096), builder.fits(4097)]).toEqual([true, false]);
    expect(() => builder.appendBytes({ kind: 'write', time: 1, offset: 0 }, [new Uint8Array(4097)])).toThrow('out of bounds');
    for (let index = 0; index < 64; index++) builder.appendRange({ kind: 'trim', time: 5, offset: 0, length: 1 });
    expect(builder.fits(0)).toBe(false);
    expect(() => builder.appendRange({ kind: 'trim', time: 5, offset: 0, length: 1 })).toThrow(RangeError);
  });

  it('takes the last entry back as if it had never been', () => {
    const builder = builderOf(small);
    builder.appendBytes({ kind: 'write', time: 1, offset: 8 }, [Buffer.from('first')]);
    const before = joinParts(builder.seal(identity));
    expect(Buffer.from(builder.appendBytes({ kind: 'write', time: 9, offset: 8 }, [Buffer.from('se'), Buffer.from('cond')])).toString()).toBe('second');
    builder.dropLast();
    expect(joinParts(builder.seal(identity))).toEqual(before);
    expect(builder.lastTime).toBe(1);
  });

  it('refuses a time that goes back and an empty set', () => {
    const builder = builderOf(small);
    expect(() => builder.seal(identity)).toThrow(RangeError);
    builder.appendMarker(10, { kind: 'resync-read' });
    expect(() => builder.appendMarker(9, { kind: 'heartbeat' })).toThrow(RangeError);
  });
});

describe('looking for zeros', () => {
  it('finds any byte that is not zero', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200_000 }), fc.nat(), (length, where) => {
        const bytes = new Uint8Array(length);
        expect(isAllZeros(bytes)).toBe(true);
        bytes[where % length] = 1;
        expect(isAllZeros(bytes)).toBe(false);
      }),
      { numRuns: 50 },
    );
    expect(isAllZeros(new Uint8Array(0))).toBe(false);
  });
});
