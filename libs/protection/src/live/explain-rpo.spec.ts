// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { GIB, MIB } from '@secondsite/units';
import { agentReading, masterTargetReading, processServerReading } from '../testing/readings';
import { explainRpo, type RpoQuestion } from './explain-rpo';
import type { AgentReading, MasterTargetReading, ProcessServerReading } from './readings';

const now = 1_000_000_000;
const heard = { seenAt: now };

interface Situation {
  readonly agent?: Partial<AgentReading>;
  readonly processServer?: Partial<ProcessServerReading>;
  readonly masterTarget?: Partial<MasterTargetReading>;
  readonly rpoSeconds?: number | null;
  readonly paused?: boolean;
}

/** A healthy pair that writes 30 MiB/s and has fallen 20 s behind, but for what the case says. */
function given({ agent, processServer, masterTarget, rpoSeconds = 20, paused = false }: Situation): RpoQuestion {
  return {
    now, rpoSeconds, paused,
    readings: {
      agent: agentReading({ ...heard, bytesPerSecond: 30 * MIB, shippedBytesPerSecond: 30 * MIB, stays: { gatherSeconds: 0.2, queueSeconds: 0, sendSeconds: 0.1 }, ...agent }),
      processServer: processServerReading({ ...heard, bytesPerSecond: 30 * MIB, stays: { answerSeconds: 0.08, holdSeconds: 0.01, transferSeconds: 0.07 }, ...processServer }),
      masterTarget: masterTargetReading({ ...heard, bytesPerSecond: 30 * MIB, stays: { answerSeconds: 0.02, queueSeconds: 0.03, applySeconds: 0.01 }, ...masterTarget }),
    },
  };
}

const judgementOf = (situation: Situation) => {
  const { bottleneck, words } = explainRpo(given(situation));
  return [bottleneck, words];
};
const secondsIn = (situation: Situation) => Object.fromEntries(explainRpo(given(situation)).spent.map(({ place, seconds }) => [place, seconds]));

describe('an RPO explained', () => {
  it('spends each second in one place: a link takes what its sender waited less what its receiver needed', () => {
    expect(secondsIn({})).toEqual({
      capture: 0.2, 'agent-queue': 0, 'link-to-process-server': 0.02, spool: 0.01, wan: 0.05, 'target-queue': 0.03, apply: 0.01,
    });
    expect(explainRpo(given({ rpoSeconds: 1.02 })).otherSeconds).toBe(0.7);
  });

  it('calls a slow link by its rates, wherever change sets wait for it', () => {
    const slow = { bytesPerSecond: 12 * MIB, stays: { answerSeconds: 2.6, holdSeconds: 18, transferSeconds: 4 } };
    const words = 'the link between process server and master target carries 12 MiB/s, 30 MiB/s are written';
    expect(judgementOf({ processServer: slow })).toEqual(['wan', words]);
    const passing = { bytesPerSecond: 12 * MIB, stays: { answerSeconds: 2, holdSeconds: 0.5, transferSeconds: 1.5 } };
    expect(judgementOf({ processServer: passing, agent: { stays: { gatherSeconds: 0.2, queueSeconds: 17, sendSeconds: 2.02 } } })).toEqual(['wan', words]);
  });

  it('tells a long link from a narrow one', () => {
    const long = { stays: { answerSeconds: 1.7, holdSeconds: 0, transferSeconds: 1.62 } };
    expect(judgementOf({ rpoSeconds: 3, processServer: long })).toEqual(['wan', 'a change set takes 1.6 s over the link between process server and master target']);
  });

  it('calls the link between agent and process server when the agent waits longer than the process server needs', () => {
    const agent = { shippedBytesPerSecond: 5 * MIB, stays: { gatherSeconds: 0.2, queueSeconds: 15, sendSeconds: 3 } };
    expect(judgementOf({ agent })).toEqual(['link-to-process-server', 'the link between agent and process server carries 5 MiB/s, 30 MiB/s are written']);
  });

  it('calls the disks of the target when they are slow to apply, and when they are slow to store', () => {
    const words = 'the disks of the master target take 8 MiB/s, 30 MiB/s are written';
    expect(judgementOf({ masterTarget: { bytesPerSecond: 8 * MIB, stays: { answerSeconds: 0.02, queueSeconds: 18, applySeconds: 1 } } })).toEqual(['master-target', words]);
    const spooled = { stays: { answerSeconds: 0.1, holdSeconds: 15, transferSeconds: 3.1 } };
    expect(judgementOf({ processServer: spooled, masterTarget: { bytesPerSecond: 8 * MIB, stays: { answerSeconds: 3, queueSeconds: 3, applySeconds: 1 } } })).toEqual(['master-target', words]);
  });

  it('tells how long the target takes when it keeps up with the writes', () => {
    const words = 'a change set takes 4.0 s from its arrival at the master target until it is applied';
    expect(judgementOf({ masterTarget: { stays: { answerSeconds: 0.02, queueSeconds: 3, applySeconds: 1 } } })).toEqual(['master-target', words]);
  });

  it('calls an overloaded agent in bitmap mode', () => {
    const agent = { mode: 'bitmap', dirtyBytes: 2 * GIB, bytesPerSecond: 400 * MIB, shippedBytesPerSecond: 80 * MIB } as const;
    expect(judgementOf({ agent })).toEqual([
      'agent', 'the agent is in bitmap mode, it only marks what changes (2 GiB so far): its change buffer ran over, 400 MiB/s are written and 80 MiB/s leave the agent',
    ]);
  });

  it('looks behind flow control for what fills the spool, also in bitmap mode', () => {
    const processServer = { flowControlled: true, bytesPerSecond: 12 * MIB, stays: { answerSeconds: 0.1, holdSeconds: 300, transferSeconds: 4 } };
    const words = 'the spool of the process server is full and it holds the agent off: the link between process server and master target carries 12 MiB/s, 30 MiB/s are written';
    expect(judgementOf({ processServer })).toEqual(['wan', words]);
    const agent = { mode: 'bitmap', dirtyBytes: 64 * MIB, flowControlled: true, fault: { code: 'change-set/flow-controlled', hint: 'the spool of the pair is full' } } as const;
    expect(judgementOf({ processServer, agent })).toEqual(['wan', `the agent is in bitmap mode, it only marks what changes (64 MiB so far): ${words}`]);
  });

  it('calls a full cache of the target by its disks', () => {
    const fault = { code: 'change-set/flow-controlled', hint: 'The master target holds this process server off.' };
    expect(judgementOf({ processServer: { fault }, masterTarget: { bytesPerSecond: 8 * MIB } })).toEqual([
      'master-target', 'the cache of the master target is full: the disks of the master target take 8 MiB/s, 30 MiB/s are written',
    ]);
  });

  it('says that the plan is paused, whatever else there is', () => {
    expect(judgementOf({ paused: true, agent: { mode: 'bitmap' }, masterTarget: { seenAt: 0 } })).toEqual(['paused', 'the plan is paused: nothing is sent until it is resumed']);
  });

  it('names who is not heard or not reached', () => {
    expect(judgementOf({ masterTarget: { seenAt: now - 12e6 } })).toEqual(['master-target', 'the master target has not been heard for 12 s']);
    expect(judgementOf({ processServer: { seenAt: now - 6e6 } })).toEqual(['process-server', 'the process server has not been heard for 6.0 s']);
    expect(judgementOf({ agent: { fault: { code: 'process-server/unreachable', hint: 'connect ECONNREFUSED' } } })[0]).toBe('link-to-process-server');
    const fault = { code: 'transport/unreachable', hint: 'Check the address.' };
    expect(judgementOf({ processServer: { fault } })).toEqual(['wan', 'the process server does not reach the master target: Check the address. (transport/unreachable)']);
    expect(explainRpo({ readings: {}, paused: false, rpoSeconds: null, now })).toMatchObject({ bottleneck: 'master-target', words: 'the master target has not been heard yet' });
  });

  it('does not mistake a bus that is away for a standstill: data that arrives proves who is not heard', () => {
    expect(judgementOf({ rpoSeconds: 0.8, agent: { seenAt: 0 }, processServer: { seenAt: 0 } })).toEqual(['nowhere', 'nothing is slow']);
  });

  it('counts to the last recoverable point while it resynchronises', () => {
    const agent = { resync: { doneBytes: 4 * GIB, totalBytes: 10 * GIB } };
    expect(judgementOf({ agent, masterTarget: { green: false } })).toEqual([
      'resynchronisation', 'no newer point can be recovered until the resynchronisation has ended (4 GiB of 10 GiB are read)',
    ]);
    expect(judgementOf({ agent, masterTarget: { green: false }, rpoSeconds: null })[1]).toContain('before the first synchronisation has ended');
  });
});
