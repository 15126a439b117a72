// SPDX-License-Identifier: Apache-2.0
/**
 * Judges everything once a second, and raises and clears alerts. What is raised is in the event store, so a restart neither raises nor clears
 * anything by itself. A judgement counts only when it has held for a while: reports and telemetry overtake each other.
 */
import { alertDecider, type AlertJudgement, type AlertKind, type AlertLimits, judgeComponent, judgePair, judgePlan, rpoThresholdSecondsDefault } from '@secondsite/protection';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { AlertRow, Directory, PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { livePairs } from '../read-models/find';
import type { ServerClock } from '../server-clock';
import type { LiveStatus } from './live-status';

export interface AlertWatchParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: LiveStatus;
  readonly clock: ServerClock;
  readonly limits: AlertLimits;
}

const watch = { actor: { kind: 'system', id: 'alert-watch' } } as const;
const holdSecondsDefault = 2;
/** What comes and goes in normal operation has to last longer. */
const holdSeconds: { readonly [Kind in AlertKind]?: number } = { 'flow-control': 10 };

export class AlertWatch {
  /** By the steady clock: since when a judgement differs from what is raised. */
  readonly #differsSince = new Map<string, number>();

  constructor(private readonly parts: AlertWatchParts) {}

  /** One round. Throws what the database throws. */
  async look(): Promise<void> {
    const directory = await this.parts.directories.load();
    const judged = this.#judge(directory);
    const differing = [...judged, ...ofNobody(directory)].filter(({ on, subjectId, kind }) => on !== isRaised(directory, { subjectId, kind }));
    const keys = new Set(differing.map(keyOf));
    for (const key of this.#differsSince.keys()) if (!keys.has(key)) this.#differsSince.delete(key);
    for (const judgement of differing) await this.#change(judgement);
  }

  async #change(judgement: AlertJudgement): Promise<void> {
    const key = keyOf(judgement);
    const now = this.parts.clock.steadyMicros();
    const since = this.#differsSince.get(key) ?? now;
    this.#differsSince.set(key, since);
    if (now - since < (holdSeconds[judgement.kind] ?? holdSecondsDefault) * 1e6) return;
    await this.parts.commands.run(watch, (unit) => unit.decide({ decider: alertDecider, streamId: streams.alerts(judgement.subjectId) }, { kind: 'judge', judgement }));
    this.#differsSince.delete(key);
  }

  #judge(directory: Directory): AlertJudgement[] {
    const now = this.parts.clock.now();
    return [
      ...livePairs(directory).flatMap((pair) => this.#judgePair(pair, directory, now)),
      ...directory.components.flatMap((row) => this.#judgeComponent(row, now)),
      ...livePlans(directory).flatMap(judgePlan),
    ];
  }

  #judgePair(pair: PairRow, directory: Directory, now: TimeMicros): AlertJudgement[] {
    const plan = directory.plans.find(({ planId }) => planId === pair.planId);
    if (!plan) return [];
    const { pairId, volumeName, sizeBytes, bitmapMode, flowControlled, resyncReason, stallReason, shrunkTo } = pair;
    const { rpoThresholdSeconds = rpoThresholdSecondsDefault } = plan;
    const recorded = { bitmapMode, flowControlled, resyncReason, stallReason, shrunkTo };
    return judgePair({ pairId, volumeName, sizeBytes, paused: plan.state === 'paused', rpoThresholdSeconds, recorded, readings: this.parts.live.readings(pair) }, now);
  }

  #judgeComponent({ componentId, role, name, enrolledAt }: Directory['components'][number], now: TimeMicros): AlertJudgement[] {
    const { live, limits } = this.parts;
    const watchedSince = Math.max(live.startedAt, microsFromIso(enrolledAt) ?? 0);
    return judgeComponent({ componentId, role, name, seenAt: live.seenAt(componentId), watchedSince, freeBytes: live.freeBytes(componentId) }, limits, now);
  }
}

/** What is raised of subjects that are not there any more. */
function ofNobody(directory: Directory): AlertJudgement[] {
  const there = new Set([
    ...livePairs(directory).map(({ pairId }) => pairId), ...directory.components.map(({ componentId }) => componentId), ...livePlans(directory).map(({ planId }) => planId),
  ]);
  return directory.alerts.filter(({ subjectId }) => !there.has(subjectId)).map((alert) => ({ ...aboutOf(alert), on: false }));
}

function aboutOf({ subjectId, subjectKind, subjectName, kind }: AlertRow) {
  return { subjectId, subjectKind, subjectName, kind: kind as AlertKind };
}

function livePlans(directory: Directory): Directory['plans'] {
  return directory.plans.filter(({ state }) => state !== 'removed');
}

function isRaised(directory: Directory, about: { readonly subjectId: string; readonly kind: string }): boolean {
  return directory.alerts.some(({ subjectId, kind }) => subjectId === about.subjectId && kind === about.kind);
}

function keyOf({ subjectId, kind }: AlertJudgement): string {
  return `${subjectId}/${kind}`;
}
