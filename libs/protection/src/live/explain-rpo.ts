// SPDX-License-Identifier: Apache-2.0
/**
 * Says where the seconds of an RPO are spent and what to look at first. Every duration was measured by one component with its own clock; where
 * a piece of the way lies between two components, it is what the sender waited less what the receiver needed.
 */
import type { RpoExplained } from '@secondsite/contracts';
import type { TimeMicros } from '@secondsite/units';
import { formatBytes } from './data-in-transit';
import { type Fault, isSilent, type PairReadings } from './readings';

type RpoPlace = RpoExplained['spent'][number]['place'];

/** Along the way of a change set. */
const rpoPlaces: readonly RpoPlace[] = ['capture', 'agent-queue', 'link-to-process-server', 'spool', 'wan', 'target-queue', 'apply'];

export interface RpoQuestion {
  readonly readings: PairReadings;
  readonly paused: boolean;
  /** Null before the first recovery point. */
  readonly rpoSeconds: number | null;
  readonly now: TimeMicros;
}

type Judgement = Pick<RpoExplained, 'bottleneck' | 'words'>;

interface Scene extends RpoQuestion {
  readonly seconds: Readonly<Record<RpoPlace, number>>;
}

/** A change set is gathered for a moment and an idle volume speaks once a second: nobody has to look for anything below this. */
const fineSeconds = 2;

export function explainRpo(question: RpoQuestion): RpoExplained {
  const seconds = secondsByPlace(question.readings);
  const spent = rpoPlaces.map((place) => ({ place, seconds: rounded(seconds[place]) }));
  const sum = spent.reduce((total, one) => total + one.seconds, 0);
  const otherSeconds = rounded(Math.max(0, (question.rpoSeconds ?? 0) - sum));
  return { spent, otherSeconds, ...judge({ ...question, seconds }) };
}

function secondsByPlace({ agent, processServer, masterTarget }: PairReadings): Record<RpoPlace, number> {
  const { gatherSeconds = 0, queueSeconds = 0, sendSeconds = 0 } = agent?.stays ?? {};
  const { answerSeconds = sendSeconds, holdSeconds = 0, transferSeconds = 0 } = processServer?.stays ?? {};
  const { answerSeconds: targetSeconds = 0, queueSeconds: targetQueueSeconds = 0, applySeconds = 0 } = masterTarget?.stays ?? {};
  return {
    capture: gatherSeconds, 'agent-queue': queueSeconds, 'link-to-process-server': Math.max(0, sendSeconds - answerSeconds),
    spool: holdSeconds, wan: Math.max(0, transferSeconds - targetSeconds), 'target-queue': targetQueueSeconds, apply: applySeconds,
  };
}

/** The first rule that has something to say is right: what stops everything comes before what slows it down. */
function judge(scene: Scene): Judgement {
  for (const rule of [pausedRule, silenceRule, fineRule, processServerFaultRule, targetFaultRule, agentFaultRule, bitmapRule, resyncRule, flowControlRule]) {
    const judgement = rule(scene);
    if (judgement) return judgement;
  }
  return slowestPlace(scene);
}

function pausedRule({ paused }: Scene): Judgement | undefined {
  return paused ? { bottleneck: 'paused', words: 'the plan is paused: nothing is sent until it is resumed' } : undefined;
}

function silenceRule({ readings, rpoSeconds, now }: Scene): Judgement | undefined {
  const { masterTarget, processServer, agent } = readings;
  if (isSilent(masterTarget, now)) return { bottleneck: 'master-target', words: `the master target ${silence(masterTarget, now)}` };
  if (isFine(rpoSeconds)) return undefined; // The data plane goes on without the bus.
  if (isSilent(processServer, now)) return { bottleneck: 'process-server', words: `the process server ${silence(processServer, now)}` };
  if (isSilent(agent, now)) return { bottleneck: 'agent', words: `the agent ${silence(agent, now)}` };
  return undefined;
}

function fineRule({ rpoSeconds, readings }: Scene): Judgement | undefined {
  if (!isFine(rpoSeconds) || readings.agent?.mode === 'bitmap') return undefined;
  return { bottleneck: 'nowhere', words: 'nothing is slow' };
}

function processServerFaultRule({ readings }: Scene): Judgement | undefined {
  const fault = readings.processServer?.fault;
  if (!fault) return undefined;
  if (fault.code === 'change-set/flow-controlled') return { bottleneck: 'master-target', words: `the cache of the master target is full: ${appliesSlowly(readings)}` };
  if (fault.code.startsWith('transport/') || fault.code.startsWith('tls/')) return { bottleneck: 'wan', words: `the process server does not reach the master target: ${told(fault)}` };
  if (fault.code.startsWith('storage/') || fault.code.startsWith('pair/')) return { bottleneck: 'master-target', words: `the master target takes nothing: ${told(fault)}` };
  return { bottleneck: 'process-server', words: `the process server does not advance: ${told(fault)}` };
}

function targetFaultRule({ readings }: Scene): Judgement | undefined {
  const fault = readings.masterTarget?.fault;
  return fault && { bottleneck: 'master-target', words: `the master target does not advance: ${told(fault)}` };
}

function agentFaultRule({ readings }: Scene): Judgement | undefined {
  const fault = readings.agent?.fault;
  if (!fault || readings.agent?.flowControlled) return undefined;
  if (fault.code === 'process-server/unreachable') return { bottleneck: 'link-to-process-server', words: `the agent does not reach the process server: ${told(fault)}` };
  return { bottleneck: 'agent', words: `the agent does not advance: ${told(fault)}` };
}

function bitmapRule(scene: Scene): Judgement | undefined {
  const { agent } = scene.readings;
  if (agent?.mode !== 'bitmap') return undefined;
  const { bottleneck, words } = agent.flowControlled ? spoolIsFull(scene) : overrun(scene);
  return { bottleneck, words: `the agent is in bitmap mode, it only marks what changes (${formatBytes(agent.dirtyBytes)} so far): ${words}` };
}

function overrun({ readings }: Scene): Judgement {
  const { bytesPerSecond = 0, shippedBytesPerSecond = 0 } = readings.agent ?? {};
  return { bottleneck: 'agent', words: `its change buffer ran over, ${rate(bytesPerSecond)} are written and ${rate(shippedBytesPerSecond)} leave the agent` };
}

function resyncRule({ readings, rpoSeconds }: Scene): Judgement | undefined {
  const { agent, masterTarget } = readings;
  if (masterTarget?.green === true && !agent?.resync && agent?.mode !== 'resync-required') return undefined;
  const { doneBytes, totalBytes } = agent?.resync ?? {};
  const progress = doneBytes === undefined || totalBytes === undefined ? '' : ` (${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} are read)`;
  const words = rpoSeconds === null ? `there is no recovery point before the first synchronisation has ended${progress}` : `no newer point can be recovered until the resynchronisation has ended${progress}`;
  return { bottleneck: 'resynchronisation', words };
}

function flowControlRule(scene: Scene): Judgement | undefined {
  const { agent, processServer } = scene.readings;
  return agent?.flowControlled || processServer?.flowControlled ? spoolIsFull(scene) : undefined;
}

function spoolIsFull(scene: Scene): Judgement {
  const behind = behindProcessServer(scene);
  return { ...behind, words: `the spool of the process server is full and it holds the agent off: ${behind.words}` };
}

/** A place where sets wait is slow because of one behind it. */
function slowestPlace(scene: Scene): Judgement {
  const { seconds, readings } = scene;
  const most = rpoPlaces.reduce((slowest, place) => (seconds[place] > seconds[slowest] ? place : slowest), 'capture');
  switch (most) {
    case 'capture':
      return { bottleneck: 'agent', words: `nothing waits on the way, but for ${formatSeconds(scene.rpoSeconds ?? 0)} the agent has sent nothing newer` };
    case 'link-to-process-server':
      return localLink(scene);
    case 'agent-queue': {
      const behind = behindProcessServer(scene);
      const isLink = seconds['link-to-process-server'] >= Math.max(seconds.wan, readings.masterTarget?.stays?.answerSeconds ?? 0);
      return isLink ? localLink(scene) : behind;
    }
    case 'spool':
    case 'wan':
      return behindProcessServer(scene);
    case 'target-queue':
    case 'apply':
      return { bottleneck: 'master-target', words: appliesSlowly(readings) };
  }
}

/** Why sets leave the process server slowly: the way, or the target's answers. */
function behindProcessServer({ seconds, readings }: Scene): Judgement {
  if ((readings.masterTarget?.stays?.answerSeconds ?? 0) > seconds.wan) return { bottleneck: 'master-target', words: appliesSlowly(readings) };
  const carried = readings.processServer?.bytesPerSecond ?? 0;
  return { bottleneck: 'wan', words: linkWords('process server and master target', { carried, readings, seconds: seconds.wan }) };
}

function localLink({ seconds, readings }: Scene): Judgement {
  const carried = readings.agent?.shippedBytesPerSecond ?? 0;
  return { bottleneck: 'link-to-process-server', words: linkWords('agent and process server', { carried, readings, seconds: seconds['link-to-process-server'] }) };
}

/** A link that keeps up with the writes is long rather than narrow. */
function linkWords(between: string, { carried, readings, seconds }: { readonly carried: number; readonly readings: PairReadings; readonly seconds: number }): string {
  const written = readings.agent?.bytesPerSecond ?? 0;
  if (carried >= written) return `a change set takes ${formatSeconds(seconds)} over the link between ${between}`;
  return `the link between ${between} carries ${rate(carried)}, ${rate(written)} are written`;
}

function appliesSlowly({ agent, masterTarget }: PairReadings): string {
  const { queueSeconds = 0, applySeconds = 0 } = masterTarget?.stays ?? {};
  const [taken, written] = [masterTarget?.bytesPerSecond ?? 0, agent?.bytesPerSecond ?? 0];
  if (taken >= written) return `a change set takes ${formatSeconds(queueSeconds + applySeconds)} from its arrival at the master target until it is applied`;
  return `the disks of the master target take ${rate(taken)}, ${rate(written)} are written`;
}

function isFine(rpoSeconds: number | null): boolean {
  return rpoSeconds !== null && rpoSeconds <= fineSeconds;
}

function silence(reading: { readonly seenAt: TimeMicros } | undefined, now: TimeMicros): string {
  return reading ? `has not been heard for ${formatSeconds((now - reading.seenAt) / 1e6)}` : 'has not been heard yet';
}

function told({ code, hint }: Fault): string {
  return `${hint} (${code})`;
}

function rate(bytesPerSecond: number): string {
  return `${formatBytes(Math.round(bytesPerSecond))}/s`;
}

function formatSeconds(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
