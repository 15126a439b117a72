// SPDX-License-Identifier: Apache-2.0
// What is wrong now, from what components say and what is recorded. Where nothing is known (this server has just started, a component was not
// heard yet) there is no judgement, and an alert stays as it is.
import type { DataPlaneRole } from '@secondsite/contracts';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import { formatBytes } from '../live/data-in-transit';
import { isSilent, type PairReadings } from '../live/readings';
import { retentionWords } from '../live/retention-words';
import { rpoSeconds } from '../live/rpo';
import type { AlertJudgement, AlertKind, AlertSubject } from './alert';

export interface AlertLimits {
  /** A component that was not heard for so long. */
  readonly silentSeconds: number;
  /** Less free space than this where a component keeps its data. */
  readonly freeBytesMin: ByteCount;
}

export interface JudgedPair {
  readonly pairId: string;
  readonly volumeName: string;
  readonly paused: boolean;
  readonly rpoThresholdSeconds: number;
  readonly sizeBytes: ByteCount;
  readonly readings: PairReadings;
  /** As recorded; undefined: it is not. */
  readonly recorded: {
    readonly bitmapMode: boolean;
    readonly flowControlled: boolean;
    readonly resyncReason: string | undefined;
    readonly stallReason: string | undefined;
    /** What the source has, while that is less than the volume. */
    readonly shrunkTo: ByteCount | undefined;
  };
}

export interface JudgedComponent {
  readonly componentId: string;
  readonly role: DataPlaneRole;
  readonly name: string;
  /** By this server's clock; undefined: not since it started. */
  readonly seenAt: TimeMicros | undefined;
  /** Since when it could have been heard. */
  readonly watchedSince: TimeMicros;
  readonly freeBytes: ByteCount | undefined;
}

export interface JudgedPlan {
  readonly planId: string;
  readonly name: string;
  /** Why its last bookmark failed; undefined: it did not. */
  readonly bookmarkFailure: string | undefined;
}

interface Trouble {
  readonly words: string;
  readonly hint: string;
}

/** Undefined: all is well. `unknown`: no judgement. */
type Finding = Trouble | undefined | 'unknown';

/** An alert ends a little below the limit that raised it, so that it does not come and go. */
const rpoClearPart = 0.9;
const freeClearPart = 1.25;

export function judgePair(pair: JudgedPair, now: TimeMicros): AlertJudgement[] {
  const subject: AlertSubject = { subjectId: pair.pairId, subjectKind: 'pair', subjectName: pair.volumeName };
  const whileActive = (finding: Finding): Finding => (pair.paused ? undefined : finding);
  return judgements(subject, {
    'rpo-exceeded': whileActive(rpoExceeded(pair, now)),
    stalled: whileActive(stalled(pair)),
    'bitmap-mode': whileActive(bitmapMode(pair, now)),
    'flow-control': whileActive(flowControl(pair, now)),
    'resync-required': resyncRequired(pair),
    'volume-shrunk': shrunk(pair),
    'marks-not-durable': marksNotDurable(pair),
    'retention-window-low': windowLow(pair),
    'replica-damaged': replicaDamaged(pair),
    'cold-store-failed': coldStoreFailed(pair),
  });
}

export function judgeComponent(component: JudgedComponent, limits: AlertLimits, now: TimeMicros): AlertJudgement[] {
  const subject: AlertSubject = { subjectId: component.componentId, subjectKind: 'component', subjectName: component.name };
  return judgements(subject, { 'component-silent': silent(component, limits, now), 'disk-space-low': spaceLow(component, limits) });
}

export function judgePlan({ planId, name, bookmarkFailure }: JudgedPlan): AlertJudgement[] {
  const failed: Finding = bookmarkFailure === undefined ? undefined : {
    words: `the last bookmark of plan ${name} failed: ${bookmarkFailure}`,
    hint: 'Volumes that are being resynchronised cannot have bookmarks; the alert ends with the next bookmark that succeeds.',
  };
  return judgements({ subjectId: planId, subjectKind: 'plan', subjectName: name }, { 'bookmark-failed': failed });
}

function judgements(subject: AlertSubject, findings: Partial<Record<AlertKind, Finding>>): AlertJudgement[] {
  return (Object.entries(findings) as [AlertKind, Finding][]).flatMap(([kind, finding]): AlertJudgement[] => {
    if (finding === 'unknown') return [];
    return [finding ? { ...subject, kind, on: true, ...finding } : { ...subject, kind, on: false }];
  });
}

/** Grows while the target is not heard, from what it said last. */
function rpoExceeded({ readings, rpoThresholdSeconds: limit, volumeName }: JudgedPair, now: TimeMicros): Finding {
  if (!readings.masterTarget) return 'unknown';
  const rpo = rpoSeconds(readings.masterTarget, now);
  if (rpo === null || rpo <= limit * rpoClearPart) return undefined;
  if (rpo <= limit) return 'unknown';
  return {
    words: `the RPO of ${volumeName} is above ${limit} s`,
    hint: `Run "secondsite rpo ${volumeName}": it says where the seconds are spent and what to look at.`,
  };
}

function stalled({ recorded: { stallReason }, volumeName }: JudgedPair): Finding {
  if (stallReason === undefined) return undefined;
  return { words: stallReason, hint: `Start or reach what is named; "secondsite status" shows which components are heard, "secondsite rpo ${volumeName}" where data waits.` };
}

function bitmapMode({ readings: { agent }, recorded, volumeName }: JudgedPair, now: TimeMicros): Finding {
  const on = isSilent(agent, now) ? recorded.bitmapMode : agent?.mode === 'bitmap';
  if (!on) return undefined;
  return {
    words: `${volumeName} is in bitmap mode: only which regions change is kept, no new recovery points are made`,
    hint: 'It ends by itself when what is written fits the way again; if it does not, look at the process server and the link, or give the agent more memory (SECONDSITE_BUFFER_BYTES_MAX).',
  };
}

function flowControl({ readings: { agent }, recorded, volumeName }: JudgedPair, now: TimeMicros): Finding {
  const on = isSilent(agent, now) ? recorded.flowControlled : agent?.flowControlled;
  if (!on) return undefined;
  return {
    words: `the process server holds the agent of ${volumeName} off: the spool of the pair is full`,
    hint: `Look at the link to the master target and at its disks ("secondsite rpo ${volumeName}"); more bandwidth or a larger spool bridges longer outages.`,
  };
}

/** Until the source has sent it again. */
function replicaDamaged({ readings: { masterTarget }, volumeName }: JudgedPair): Finding {
  if (!masterTarget?.scrub) return 'unknown';
  const { damagedBytes } = masterTarget.scrub;
  if (damagedBytes === 0) return undefined;
  return {
    words: `a disk of the master target changed ${formatBytes(damagedBytes)} of the replica of ${volumeName}`,
    hint: 'The source sends them again by itself when agent and process server are reached; until then views refuse these bytes. Check that disk (SMART, cables, memory).',
  };
}

function resyncRequired({ recorded: { resyncReason }, volumeName }: JudgedPair): Finding {
  if (resyncReason === undefined) return undefined;
  return { words: `${volumeName} has to be resynchronised: ${resyncReason}`, hint: 'It begins by itself when agent, process server and master target are reached; older recovery points stay.' };
}

function shrunk({ recorded: { shrunkTo }, sizeBytes, volumeName }: JudgedPair): Finding {
  if (shrunkTo === undefined) return undefined;
  return {
    words: `the source of volume ${volumeName} has only ${formatBytes(shrunkTo)} of ${formatBytes(sizeBytes)}: the volume keeps its size, what is missing reads as zeros`,
    hint: 'Enlarge the source again; its recovery points are not touched.',
  };
}

function marksNotDurable({ readings: { agent }, volumeName }: JudgedPair): Finding {
  if (!agent) return 'unknown';
  if (agent.fault?.code !== 'bitmap/not-durable') return undefined;
  return {
    words: `the disk of the agent's data folder does not take marks of ${volumeName}: writes go on and are replicated, but if the agent ends now the whole volume has to be compared`,
    hint: 'Look at that disk (SMART, kernel log, "mount" for a read-only file system). It is tried every 5 s; after a repair that needs a new mount start the agent again.',
  };
}

/** Points had to go before the window that is promised. */
function windowLow({ readings: { masterTarget }, volumeName }: JudgedPair): Finding {
  if (!masterTarget?.retention) return 'unknown';
  if (masterTarget.retention.shortenedAt === undefined) return undefined;
  return {
    words: `${volumeName}: ${retentionWords(masterTarget.retention, masterTarget.journalBytes)}`,
    hint: 'Give the plan more retention space or the master target a larger disk, or promise a shorter window.',
  };
}

function coldStoreFailed({ readings: { masterTarget }, volumeName }: JudgedPair): Finding {
  if (!masterTarget) return 'unknown';
  const { trouble, waitingBytes = 0 } = masterTarget.retention?.cold ?? {};
  if (!trouble) return undefined;
  return {
    words: `the cold store of ${volumeName} fails since ${trouble.since} (${trouble.code}): ${formatBytes(waitingBytes)} wait on the disk of the master target, and views of old points may not be readable`,
    hint: trouble.hint,
  };
}

function silent({ role, name, seenAt, watchedSince }: JudgedComponent, { silentSeconds }: AlertLimits, now: TimeMicros): Finding {
  if (now - (seenAt ?? watchedSince) > silentSeconds * 1e6) {
    const words = `the ${role.replace('-', ' ')} ${name} has not been heard for ${silentSeconds} s`;
    return { words, hint: 'Check that it runs and that it reaches NATS; its log says why it does not.' };
  }
  return isSilent(seenAt === undefined ? undefined : { seenAt }, now) ? 'unknown' : undefined;
}

function spaceLow({ role, name, freeBytes }: JudgedComponent, { freeBytesMin }: AlertLimits): Finding {
  if (freeBytes === undefined) return 'unknown';
  if (freeBytes >= freeBytesMin * freeClearPart) return undefined;
  if (freeBytes >= freeBytesMin) return 'unknown';
  return {
    words: `the ${role.replace('-', ' ')} ${name} has less than ${formatBytes(freeBytesMin)} free where it keeps its data`,
    hint: role === 'master-target' ? 'Add space, or shorten the retention of its plans.' : 'Free or add space; it stops accepting change sets before the disk is full.',
  };
}
