// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type ResyncCandidate, resyncTurns } from './resync-turns';

const now = 1_000;

function pair(pairId: string, more: Partial<ResyncCandidate> = {}): ResyncCandidate {
  return { pairId, since: '2026-01-01T00:00:00.000000Z', paused: false, stalled: false, notBefore: undefined, ...more };
}

function turnsOf(candidates: readonly ResyncCandidate[], pairsAtOnce = 2): Record<string, string> {
  const turns = resyncTurns(candidates, { pairsAtOnce, now });
  return Object.fromEntries([...turns].map(([pairId, turn]) => [pairId, turn.kind === 'queued' ? `place ${turn.place}` : turn.kind]));
}

const candidate: fc.Arbitrary<ResyncCandidate> = fc.record({
  pairId: fc.uuid(), since: fc.integer({ min: 2000, max: 2010 }).map((year) => `${year}-01-01T00:00:00.000000Z`), paused: fc.boolean(), stalled: fc.boolean(),
  notBefore: fc.option(fc.oneof(fc.constant('asked' as const), fc.integer({ min: 0, max: 2 * now })), { nil: undefined }),
});
const candidates = fc.uniqueArray(candidate, { selector: ({ pairId }) => pairId, maxLength: 20 });

describe('batch resync', () => {
  it('lets the oldest go and gives the others their places', () => {
    const later = { since: '2026-01-02T00:00:00.000000Z' };
    expect(turnsOf([pair('d', later), pair('b'), pair('a'), pair('c', later)])).toEqual({ a: 'go', b: 'go', c: 'place 1', d: 'place 2' });
  });

  it('gives the place of a pair that stalls or is paused to the next, and lets the stalled one come back', () => {
    expect(turnsOf([pair('a', { stalled: true }), pair('b', { paused: true }), pair('c'), pair('d'), pair('e')])).toEqual({ a: 'go', b: 'paused', c: 'go', d: 'go', e: 'place 1' });
  });

  it('takes nobody into the queue before its time, or who has to be asked for', () => {
    expect(turnsOf([pair('a', { notBefore: now + 1 }), pair('b', { notBefore: now }), pair('c'), pair('d'), pair('e', { notBefore: 'asked' })])).toEqual({
      a: 'too-early', b: 'go', c: 'go', d: 'place 1', e: 'to-be-asked',
    });
  });

  it('never lets more go than asked for, and leaves no place empty while somebody waits', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 4 }), (pairs, pairsAtOnce) => {
        const turns = resyncTurns(pairs, { pairsAtOnce, now });
        const going = pairs.filter(({ pairId, stalled }) => !stalled && turns.get(pairId)?.kind === 'go').length;
        const places = [...turns.values()].flatMap((turn) => (turn.kind === 'queued' ? [turn.place] : []));
        expect(turns.size).toBe(pairs.length);
        expect(going).toBeLessThanOrEqual(pairsAtOnce);
        if (places.length > 0) expect(going).toBe(pairsAtOnce);
        expect(places.sort((left, right) => left - right)).toEqual(places.map((_, index) => index + 1));
      }),
    );
  });

  it('answers the same whatever the order of the pairs, and a pair that is done moves nobody back', () => {
    fc.assert(
      fc.property(candidates, fc.integer({ min: 1, max: 4 }), fc.nat(), (pairs, pairsAtOnce, pick) => {
        const turns = resyncTurns(pairs, { pairsAtOnce, now });
        expect(resyncTurns(pairs.toReversed(), { pairsAtOnce, now })).toEqual(turns);
        const left = pairs.filter((_, index) => index !== pick % Math.max(1, pairs.length));
        const after = resyncTurns(left, { pairsAtOnce, now });
        for (const { pairId } of left) expect(rank(after.get(pairId))).toBeLessThanOrEqual(rank(turns.get(pairId)));
      }),
    );
  });
});

/** 0 goes, 1 is the next; others do not change. */
function rank(turn: ReturnType<ReturnType<typeof resyncTurns>['get']>): number {
  return turn?.kind === 'queued' ? turn.place : 0;
}
