// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import type { StreamMarker } from '../change-set';
import { encodeChangeSet, type LooseEntry, type SealedChangeSet } from '../encode-change-set';
import { encodeMarker } from '../stream-marker';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

/** Entries of every kind inside a volume of `volumeBytes`, times ascending, few enough to overlap often. */
export function entriesArbitrary({ volumeBytes }: { readonly volumeBytes: number }): fc.Arbitrary<LooseEntry[]> {
  return fc.array(fc.tuple(fc.nat({ max: 3 }), shapeArbitrary(volumeBytes)), { minLength: 1, maxLength: 20 }).map((rows) => {
    let time = 1_700_000_000_000_000;
    return rows.map(([step, entry]) => ({ ...entry, time: (time += step) }));
  });
}

/** Complete change sets, uncompressed. */
export function changeSetArbitrary(bounds: { readonly volumeBytes: number }): fc.Arbitrary<SealedChangeSet> {
  return fc
    .tuple(entriesArbitrary(bounds), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 2 ** 40 }), fc.boolean())
    .map(([entries, epoch, sequence, traced]) => encodeChangeSet({ pairId, epoch, sequence, traceparent: traced ? traceparent : undefined }, entries));
}

/** One buffer of the parts of a sealed set. */
export function joinParts(set: SealedChangeSet): Buffer {
  return Buffer.concat(set.parts);
}

function shapeArbitrary(volumeBytes: number): fc.Arbitrary<Omit<LooseEntry, 'time'>> {
  const range = fc.tuple(fc.nat({ max: volumeBytes - 1 }), fc.integer({ min: 1, max: 64 })).map(([offset, length]) => ({ offset, length: Math.min(length, volumeBytes - offset) }));
  const written = fc.tuple(fc.constantFrom('write' as const, 'resync-write' as const), range, fc.nat({ max: 255 }));
  const cleared = fc.tuple(fc.constantFrom('zero' as const, 'trim' as const, 'resync-zero' as const), range);
  const marker: StreamMarker = { kind: 'heartbeat' };
  return fc.oneof(
    written.map(([kind, at, fill]) => ({ kind, ...at, bytes: [new Uint8Array(at.length).fill(fill)] })),
    cleared.map(([kind, at]) => ({ kind, ...at, bytes: [] })),
    fc.constant({ kind: 'marker' as const, offset: 0, length: 0, bytes: [encodeMarker(marker)] }),
  );
}
