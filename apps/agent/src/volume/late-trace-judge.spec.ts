// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { LateTraceJudge } from './late-trace-judge';

const place = (sequence: number, epoch = 1) => ({ epoch, sequence });

describe('the judge of late traces', () => {
  let now: number;
  let judge: LateTraceJudge;
  beforeEach(() => {
    now = 100_000;
    judge = new LateTraceJudge({ slowMillis: 5000, millis: () => now });
  });

  it('takes a set of which it is not known in time that it is applied, counted from its first write, once', () => {
    judge.sealed(place(1), 200);
    now += 4800;
    expect(judge.slow()).toBeUndefined();
    now += 1;
    expect(judge.slow()).toMatchObject(place(1));
    expect(judge.slow()).toBeUndefined();
  });

  it('leaves a set alone that is applied in time', () => {
    judge.sealed(place(1), 0);
    judge.sealed(place(2), 0);
    judge.applied(place(1));
    now += 6000;
    expect(judge.slow()).toMatchObject(place(2));
  });

  it('takes one a second of many, and always one that has just become slow', () => {
    const taken: number[] = [];
    for (let sequence = 1; sequence <= 200; sequence++) {
      judge.sealed(place(sequence), 0);
      now += 100;
      const slow = judge.slow();
      if (slow) taken.push(slow.sequence);
    }
    expect(taken.length).toBe(15);
    expect(taken[0]).toBe(1);
    expect(taken.at(-1)).toBeGreaterThan(140);
  });

  it('takes the oldest of what is given up as failed, and forgets the others', () => {
    judge.sealed(place(4), 0);
    judge.sealed(place(5), 0);
    expect(judge.gaveUp()).toMatchObject(place(4));
    now += 60_000;
    expect([judge.slow(), judge.gaveUp()]).toEqual([undefined, undefined]);
  });

  it('does nothing where nothing is traced late', () => {
    judge = new LateTraceJudge({ slowMillis: undefined, millis: () => now });
    judge.sealed(place(1), 0);
    now += 60_000;
    expect([judge.slow(), judge.gaveUp()]).toEqual([undefined, undefined]);
  });
});
