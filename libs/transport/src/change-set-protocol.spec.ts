// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { changeSetPath, comparisonPath, parseRoute, positionPath, validTraceparent } from './change-set-protocol';
import { positionFromReply, putOutcomeFromReply } from './http-reply';
import { ReceiveBudget } from './receive-budget';

const pairId = '0b8f2f0e-5a3c-4a57-9f6e-0123456789ab';

describe('routes', () => {
  it('read back what they name', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.integer({ min: 1, max: 0xffffffff }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (id, epoch, sequence) => {
        expect(parseRoute(changeSetPath({ pairId: id, epoch, sequence }))).toEqual({ kind: 'change-set', pairId: id, epoch, sequence });
        expect(parseRoute(comparisonPath({ pairId: id, epoch, sequence }))).toEqual({ kind: 'comparison', pairId: id, epoch, sequence });
        expect(parseRoute(positionPath(id))).toEqual({ kind: 'position', pairId: id });
      }),
    );
  });

  it.each([
    '/',
    `/v1/pairs/${pairId}/change-sets/0/1`,
    `/v1/pairs/${pairId}/change-sets/1/0`,
    `/v1/pairs/${pairId}/change-sets/4294967296/1`,
    `/v1/pairs/${pairId}/change-sets/1/9007199254740992`,
    `/v1/pairs/${pairId}/change-sets/1/2/`,
    `/v1/pairs/${pairId}/change-sets/1/2?x`,
    `/v1/pairs/../pairs/${pairId}/position`,
    `/v1/pairs/${pairId.toUpperCase()}/position`,
  ])('refuse %s', (path) => expect(parseRoute(path)).toBeUndefined());

  it('take only well-formed trace contexts', () => {
    expect(validTraceparent('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')).toBeDefined();
    expect(validTraceparent(`00-${'0'.repeat(32)}-b7ad6b7169203331-01`)).toBeUndefined();
    expect(validTraceparent('x\r\ny: z')).toBeUndefined();
  });
});

describe('answers', () => {
  const reply = (status: number, body: unknown, retryAfter?: string) => ({ status, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), retryAfter });

  it('count as stored only when they say durable and are complete', () => {
    const progress = { appliedEpoch: 1, appliedSequence: 2, creditBytes: 3 };
    expect(putOutcomeFromReply(reply(200, { durable: true, ...progress }))).toEqual({ kind: 'stored', ...progress });
    for (const body of [{ ...progress }, { durable: true }, { durable: true, ...progress, creditBytes: -1 }, 'ok', 'null', '']) {
      expect(putOutcomeFromReply(reply(200, body))).toMatchObject({ kind: 'unreachable', cause: { code: 'transport/bad-answer' } });
    }
    expect(positionFromReply(reply(200, progress))).toMatchObject({ kind: 'unreachable' });
  });

  it('hold off for a bounded time', () => {
    expect(putOutcomeFromReply(reply(429, { retryAfterMillis: 1e12 }))).toMatchObject({ kind: 'held-off', retryAfterMillis: 60_000 });
    expect(putOutcomeFromReply(reply(503, '', '2'))).toMatchObject({ kind: 'held-off', retryAfterMillis: 2000, code: 'transport/status-503' });
    expect(putOutcomeFromReply(reply(500, '', 'Wed, 21 Oct 2015 07:28:00 GMT'))).toMatchObject({ kind: 'held-off', retryAfterMillis: 1000 });
  });

  it('never count as stored, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999 }), fc.string(), (status, text) => {
        expect(putOutcomeFromReply({ status, body: Buffer.from(text), retryAfter: undefined }).kind).not.toBe('stored');
      }),
    );
  });
});

describe('the budget of bodies', () => {
  it('never lets more in than its limits, in total and for each peer, and gets everything back', () => {
    const step = fc.record({ peer: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: 1, max: 60 }), giveBackFirst: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const budget = new ReceiveBudget({ totalBytes: 100, peerBytes: 60 });
        const held: { peer: string; bytes: number; giveBack: () => void }[] = [];
        for (const { peer, bytes, giveBackFirst } of steps) {
          if (giveBackFirst) held.shift()?.giveBack();
          const giveBack = budget.take(peer, bytes);
          if (giveBack) held.push({ peer, bytes, giveBack });
          const sum = (items: typeof held) => items.reduce((total, item) => total + item.bytes, 0);
          expect(budget.takenBytes).toBe(sum(held));
          expect(budget.takenBytes).toBeLessThanOrEqual(100);
          expect(sum(held.filter((item) => item.peer === peer))).toBeLessThanOrEqual(60);
          if (!giveBack) expect(sum(held) + bytes > 100 || sum(held.filter((item) => item.peer === peer)) + bytes > 60).toBe(true);
        }
        held.forEach(({ giveBack }) => giveBack());
        expect(budget.takenBytes).toBe(0);
      }),
    );
  });
});
