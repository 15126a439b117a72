// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { PutOutcome } from '@secondsite/transport';
import type { ChangeSetSender } from './change-set-shipper';
import { SenderRoute } from './sender-route';

const stored: PutOutcome = { kind: 'stored', appliedEpoch: 1, appliedSequence: 0, creditBytes: 1 };
const cancelled: PutOutcome = { kind: 'unreachable', cause: new Error('cancelled') };

/** Answers when it is told to, or when it is given up. */
class SlowSender implements ChangeSetSender {
  readonly asked: number[] = [];
  closed = false;
  answer = Promise.withResolvers<PutOutcome>();

  async put(_parts: readonly Uint8Array[], { sequence, signal }: Parameters<ChangeSetSender['put']>[1]): Promise<PutOutcome> {
    this.asked.push(sequence);
    const givenUp = new Promise<PutOutcome>((resolve) => {
      if (signal?.aborted) resolve(cancelled);
      signal?.addEventListener('abort', () => resolve(cancelled));
    });
    return Promise.race([this.answer.promise, givenUp]);
  }

  position(): Promise<never> {
    throw new Error('nobody asks');
  }

  compare(): Promise<never> {
    throw new Error('nobody asks');
  }

  close(): void {
    this.closed = true;
  }
}

const place = (sequence: number) => ({ pairId: 'pair', epoch: 1, sequence });

describe('the way to the process server', () => {
  it('sends again on the new way what the old one has not answered', async () => {
    const [old, next] = [new SlowSender(), new SlowSender()];
    const route = new SenderRoute<SlowSender>(old);
    const outcomes = [1, 2].map((sequence) => route.put([], place(sequence)));
    route.changeTo(next);
    next.answer.resolve(stored);
    expect(await Promise.all(outcomes)).toEqual([stored, stored]);
    expect({ old: old.asked, next: next.asked, closed: old.closed }).toEqual({ old: [1, 2], next: [1, 2], closed: true });
  });

  it('takes an answer of the old one that comes with the change for nothing', async () => {
    const [old, next] = [new SlowSender(), new SlowSender()];
    const route = new SenderRoute<SlowSender>(old);
    const outcome = route.put([], place(1));
    old.answer.resolve({ ...stored, appliedSequence: 99 });
    route.changeTo(next);
    next.answer.resolve(stored);
    expect(await outcome).toEqual(stored);
  });

  it('gives up what its caller gives up', async () => {
    const sender = new SlowSender();
    const givenUp = new AbortController();
    const outcome = new SenderRoute(sender).put([], { ...place(1), signal: givenUp.signal });
    givenUp.abort();
    expect(await outcome).toEqual(cancelled);
  });
});
