// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { HEADER_BYTES } from './change-set-layout';
import { checksum } from './checksum';
import { encodeChangeSet, type LooseEntry } from './encode-change-set';
import { changeSetArbitrary, entriesArbitrary, joinParts } from './testing';
import { bytesOf, verifyChangeSet } from './verify-change-set';

const identity = { pairId: '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e', epoch: 1, sequence: 1, traceparent: undefined };
const write = (fields: Partial<LooseEntry>): LooseEntry => ({ kind: 'write', time: 10, offset: 0, length: 4, bytes: [Buffer.from('abcd')], ...fields });

describe('a change set as bytes', () => {
  it('reads back exactly what was encoded', () => {
    fc.assert(
      fc.property(entriesArbitrary({ volumeBytes: 512 }), (entries) => {
        const set = verifyChangeSet(joinParts(encodeChangeSet(identity, entries)));
        if (!set.ok) throw new Error(set.detail);
        const seen = set.entries().map((entry) => ({ kind: entry.kind, time: entry.time, offset: entry.offset, length: entry.length, bytes: Buffer.from(bytesOf(entry, set.data)) }));
        expect(seen).toEqual(entries.map((entry) => ({ ...entry, bytes: Buffer.concat(entry.bytes) })));
        expect(set.header).toMatchObject({ ...identity, entryCount: entries.length, firstTime: entries[0]?.time, lastTime: entries.at(-1)?.time });
      }),
    );
  });

  it('is refused after any single byte changed', () => {
    fc.assert(
      fc.property(changeSetArbitrary({ volumeBytes: 512 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (set, where, flip) => {
        const bytes = joinParts(set);
        const at = where % bytes.length;
        bytes[at] = (bytes[at] as number) ^ flip;
        expect(verifyChangeSet(bytes).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('is refused when bytes are missing or follow', () => {
    fc.assert(
      fc.property(changeSetArbitrary({ volumeBytes: 512 }), fc.nat(), (set, where) => {
        const bytes = joinParts(set);
        expect(verifyChangeSet(bytes.subarray(0, where % bytes.length)).ok).toBe(false);
        expect(verifyChangeSet(Buffer.concat([bytes, Buffer.alloc(1)])).ok).toBe(false);
      }),
    );
  });

  it('never throws on bytes of any kind', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => verifyChangeSet(bytes).ok === false));
  });
});

describe('a well-checksummed change set that makes no sense is refused', () => {
  const cases: [string, LooseEntry[]][] = [
    ['a time that goes back', [write({ time: 10 }), write({ time: 9 })]],
    ['a write longer than its data', [write({ length: 5 })]],
    ['a write that covers nothing', [write({ length: 0, bytes: [] })]],
    ['a zero of nothing', [write({ kind: 'zero', length: 0, bytes: [] })]],
    ['a marker that covers blocks', [write({ kind: 'marker', length: 4 })]],
    ['a marker that is no JSON', [write({ kind: 'marker', length: 0 })]],
    ['a marker of an unknown kind', [write({ kind: 'marker', length: 0, bytes: [Buffer.from('{"kind":"dance"}')] })]],
    ['a range past what a double holds', [write({ offset: Number.MAX_SAFE_INTEGER })]],
  ];
  it.each(cases)('%s', (_title, entries) => {
    expect(verifyChangeSet(joinParts(encodeChangeSet(identity, entries)))).toMatchObject({ ok: false, code: 'change-set/malformed' });
  });

  /** Changes bytes and makes all checksums right again. */
  function forged(change: (bytes: Buffer) => void): Buffer {
    const bytes = joinParts(encodeChangeSet(identity, [write({}), write({ time: 11 })]));
    change(bytes);
    bytes.set(checksum([bytes.subarray(HEADER_BYTES)]), 64);
    bytes.set(bytes.subarray(64, 72), 72);
    bytes.set(checksum([bytes.subarray(0, 152)]), 152);
    return bytes;
  }

  it.each<[string, (bytes: Buffer) => void, string]>([
    ['no entries', (bytes) => bytes.writeUInt32LE(0, 28), 'malformed'],
    ['more entries than content', (bytes) => bytes.writeUInt32LE(1000, 28), 'malformed'],
    ['a larger content than is sent', (bytes) => bytes.writeUInt32LE(0x7fffffff, 60), 'malformed'],
    ['sequence 0', (bytes) => bytes.writeUInt32LE(0, 32), 'malformed'],
    ['epoch 0', (bytes) => bytes.writeUInt32LE(0, 24), 'malformed'],
    ['unknown flags', (bytes) => bytes.writeUInt16LE(64, 6), 'malformed'],
    ['a later version', (bytes) => bytes.writeUInt16LE(2, 4), 'unknown-version'],
    ['reserved bytes', (bytes) => bytes.writeUInt8(1, 140), 'malformed'],
    ['an unknown kind', (bytes) => bytes.writeUInt32LE(99, HEADER_BYTES + 28), 'malformed'],
    ['data outside of the data area', (bytes) => bytes.writeUInt32LE(7, HEADER_BYTES + 32 + 20), 'malformed'],
    ['a first time after the entries', (bytes) => bytes.writeUInt32LE(11, 40), 'malformed'],
    ['a last time after the entries', (bytes) => bytes.writeUInt32LE(12, 48), 'malformed'],
    ['a trace context of nonsense', (bytes) => bytes.write('x'.repeat(55), 80), 'malformed'],
  ])('%s', (_title, change, code) => {
    expect(verifyChangeSet(forged(() => undefined)).ok).toBe(true);
    expect(verifyChangeSet(forged(change))).toMatchObject({ ok: false, code: `change-set/${code}` });
  });
});
