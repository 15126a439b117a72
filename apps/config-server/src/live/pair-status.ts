// SPDX-License-Identifier: Apache-2.0
import type { PairArrivalTelemetry, PairStatus } from '@secondsite/contracts';
import {
  dataInTransit, explainRpo, type MasterTargetReading, type PairReadings, type PairStage, type ProcessServerReading, type ResyncTurn, resyncWords, retentionWords, rpoSeconds,
  savingWords, scrubWords,
} from '@secondsite/protection';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import type { PairRow } from '../read-models/directory';
import { targetMoveStatus } from '../moves/target-move-status';
import { waitInWords } from '../resync/resync-queue';

export interface PairScene {
  readonly pair: PairRow;
  readonly planName: string;
  readonly paused: boolean;
  readonly hostName: string;
  readonly readings: PairReadings;
  readonly turn: ResyncTurn | undefined;
  /** As the master target tells to which the pair moves. */
  readonly arrival?: PairArrivalTelemetry | undefined;
  readonly now: TimeMicros;
}

/** Live status of a pair: what the components said, over what the events say. */
export function pairStatus(scene: PairScene): PairStatus {
  const { pair, readings, now } = scene;
  const { agent, processServer, masterTarget } = readings;
  const rpo = rpoSeconds(masterTarget, now);
  return {
    pairId: pair.pairId, planId: pair.planId, planName: scene.planName, volumeId: pair.volumeId, volumeName: pair.volumeName, hostId: pair.hostId,
    hostName: scene.hostName, processServerId: pair.processServerId, masterTargetId: pair.masterTargetId,
    stage: liveStage(pair, masterTarget), flags: flags(scene), ...progress(scene), ...resyncWait(scene), ...lastResync(scene), ...targetMoveStatus(pair.movingTo, scene.arrival),
    rpoSeconds: rpo, rpoExplained: explainRpo({ readings, paused: scene.paused, rpoSeconds: rpo, now }), green: masterTarget?.green ?? false, dataInTransit: dataInTransit(readings, now),
    writesPerSecond: agent?.writesPerSecond ?? 0, bytesPerSecond: agent?.bytesPerSecond ?? 0,
    epoch: Math.max(pair.epoch, agent?.epoch ?? 0, masterTarget?.epoch ?? 0),
    sequences: {
      agent: agent?.sequence ?? 0, forwarded: processServer?.forwardedSequence ?? 0,
      received: masterTarget?.receivedSequence ?? 0, applied: masterTarget?.appliedSequence ?? 0,
    },
    ...sent(processServer), journalBytes: masterTarget?.journalBytes ?? 0, ...retention(masterTarget), ...scrub(masterTarget), views: masterTarget?.views ?? 0,
    ...isoField('coveredTime', masterTarget?.coveredTime), ...isoField('earliestPoint', masterTarget?.earliestPoint),
    ...isoField('latestPoint', masterTarget?.latestPoint), ...isoField('measuredAt', oldestSeenAt(readings)),
  };
}

function retention(target: MasterTargetReading | undefined): Pick<PairStatus, 'retention'> {
  return target?.retention ? { retention: { ...target.retention, words: retentionWords(target.retention, target.journalBytes) } } : {};
}

function scrub(target: MasterTargetReading | undefined): Pick<PairStatus, 'scrub'> {
  return target?.scrub ? { scrub: { ...target.scrub, words: scrubWords(target.scrub) } } : {};
}

/** The target knows first; a pair that has not sent anything is queued, whatever stage the target would begin with, and so is one that has to begin anew. */
function liveStage(pair: PairRow, target: MasterTargetReading | undefined): PairStage {
  if (pair.requiredWork === 'whole') return 'queued';
  const known = pair.state === 'absent' || pair.state === 'removed' ? 'queued' : pair.state;
  return target && target.epoch > 0 && target.epoch >= pair.epoch ? target.stage : known;
}

function flags({ pair, paused, readings: { agent } }: PairScene): PairStatus['flags'] {
  const on: [PairStatus['flags'][number], boolean][] = [
    ['paused', paused],
    ['flow-controlled', agent ? agent.flowControlled : pair.flowControlled],
    ['bitmap-mode', !paused && (agent ? agent.mode === 'bitmap' : pair.bitmapMode)],
    ['resync-required', (agent?.mode === 'resync-required' && pair.state !== 'queued') || pair.resyncRequiredSince !== undefined],
    ['stalled', !paused && pair.stalledSince !== undefined],
    ['marks-not-durable', agent?.fault?.code === 'bitmap/not-durable'],
  ];
  return on.filter(([, isOn]) => isOn).map(([flag]) => flag);
}

function progress({ readings: { agent } }: PairScene): Pick<PairStatus, 'progress'> {
  if (!agent?.resync) return {};
  const { doneBytes, totalBytes, finishSeconds, bytesPerSecond, blocks } = agent.resync;
  const percent = totalBytes === 0 ? 100 : Math.min(100, Math.floor((doneBytes / totalBytes) * 1000) / 10);
  return { progress: { doneBytes, totalBytes, percent, ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }), ...(finishSeconds === undefined ? {} : { finishSeconds }), ...(blocks ? { blocks } : {}) } };
}

function resyncWait({ turn }: PairScene): Pick<PairStatus, 'resyncWait'> {
  const words = waitInWords(turn);
  if (words === undefined) return {};
  return { resyncWait: { words, ...(turn?.kind === 'queued' ? { place: turn.place } : {}), ...(turn?.kind === 'too-early' ? { notBefore: isoFromMicros(turn.notBefore) } : {}) } };
}

function lastResync({ pair: { lastResync: chosen } }: PairScene): Pick<PairStatus, 'lastResync'> {
  return chosen ? { lastResync: { ...chosen, words: resyncWords(chosen) } } : {};
}

function sent(processServer: ProcessServerReading | undefined): Pick<PairStatus, 'sent'> {
  if (!processServer?.sent) return {};
  const { contentBytes, referencedBytes = 0, wireBytes } = processServer.sent;
  const savedPercent = contentBytes === 0 ? 0 : Math.round((1 - wireBytes / contentBytes) * 1000) / 10;
  return { sent: { contentBytes, referencedBytes, wireBytes, savedPercent, words: savingWords({ contentBytes, referencedBytes, wireBytes }) } };
}

function oldestSeenAt({ agent, processServer, masterTarget }: PairReadings): TimeMicros | undefined {
  const times = [agent, processServer, masterTarget].flatMap((reading) => (reading ? [reading.seenAt] : []));
  return times.length === 0 ? undefined : Math.min(...times);
}

function isoField<Name extends string>(name: Name, time: TimeMicros | undefined): { readonly [K in Name]?: string } {
  return (time === undefined ? {} : { [name]: isoFromMicros(time) }) as { readonly [K in Name]?: string };
}
