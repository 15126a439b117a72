// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { ChangeSetHeader } from '@secondsite/change-set';
import type { ChangeSetHops } from './change-set-hop-log';
import { PairTracing } from './pair-tracing';

const trace = (flags: string) => `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`;

describe('the tracing of a pair at its agent', () => {
  let now: number;
  let handedOver: ChangeSetHops[];
  let tracing: PairTracing;
  const header = (sequence: number, flags = '00') => ({ epoch: 1, sequence, storedBytes: 10, entryCount: 1, traceparent: trace(flags), firstTime: now * 1000 }) as ChangeSetHeader;
  const sealed = (sequence: number, flags?: string): ChangeSetHeader => {
    const made = header(sequence, flags);
    tracing.sealed(made, now * 1000);
    return made;
  };
  beforeEach(() => {
    now = 100_000;
    handedOver = [];
    tracing = new PairTracing({ traceSlowMillis: 5000, millis: () => now, onPassed: (hops) => handedOver.push(hops) });
  });

  it('hands over what was sampled with its answer, and nothing else that is in time', () => {
    const [plain, sampled] = [sealed(1), sealed(2, '01')];
    for (const set of [plain, sampled]) tracing.answered(set, now * 1000);
    tracing.applied({ epoch: 1, sequence: 2 });
    now += 60_000;
    tracing.tick();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[2, undefined]]);
    expect(tracing.lateTraces.next()).toEqual([]);
  });

  it('hands over a set that was answered and is applied late, and lets the others know', () => {
    tracing.answered(sealed(1), now * 1000);
    now += 6000;
    tracing.tick();
    tracing.tick();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[1, 'slow']]);
    expect(tracing.lateTraces.next()).toEqual([{ epoch: 1, sequence: 1 }]);
  });

  it('hands a slow set without an answer over when that comes, once, also if it was sampled', () => {
    const set = sealed(1, '01');
    now += 6000;
    tracing.tick();
    expect(handedOver).toEqual([]);
    tracing.answered(set, now * 1000);
    now += 60_000;
    tracing.tick();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[1, 'slow']]);
  });

  it('hands a sampled set over once, also if it turns out to be slow after its answer', () => {
    tracing.answered(sealed(1, '01'), now * 1000);
    now += 6000;
    tracing.tick();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[1, undefined]]);
  });

  it('hands over what fails: the refused set, and the oldest of those that its epoch takes along', () => {
    for (const sequence of [1, 2, 3]) tracing.answered(sealed(sequence), now * 1000);
    tracing.failed({ epoch: 1, sequence: 3 });
    tracing.gaveUp();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[3, 'failed'], [1, 'failed']]);
    tracing.gaveUp();
    expect(handedOver).toHaveLength(2);
  });

  it('does not lose a slow set whose answer never comes', () => {
    sealed(1);
    now += 6000;
    tracing.tick();
    tracing.gaveUp();
    expect(handedOver.map(({ sequence, late }) => [sequence, late])).toEqual([[1, 'failed']]);
  });
});
