// SPDX-License-Identifier: Apache-2.0
/**
 * Looks at every pair once a second, and at the addresses of components. Raises and takes back the stall alarm, and corrects the recorded stage from what the target shows when
 * a report was lost: only after it differed for a while, for reports and telemetry overtake each other.
 */
import { detectStall, isSilent, pairDecider, type PairReadings, type ResyncTurn, type StallPlace } from '@secondsite/protection';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { ComponentAddresses } from '../component-events/component-addresses';
import type { Directory, PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { livePairs } from '../read-models/find';
import type { ResyncQueue } from '../resync/resync-queue';
import type { ServerClock } from '../server-clock';
import type { LiveStatus } from './live-status';

export interface PairWatchParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: LiveStatus;
  readonly addresses: ComponentAddresses;
  readonly clock: ServerClock;
  readonly stallSeconds: number;
  readonly queue: ResyncQueue;
}

const differenceMicrosMin = 2_000_000;
const watch = { actor: { kind: 'system', id: 'pair-watch' } } as const;

export class PairWatch {
  /** Both by the steady clock. */
  readonly #differsSince = new Map<string, number>();
  /** Since when pairs that have to read their whole volume may do so, as far as was seen here. */
  readonly #goingSince = new Map<string, number>();

  constructor(private readonly parts: PairWatchParts) {}

  /** One round. Throws what the database throws. */
  async look(): Promise<void> {
    const directory = await this.parts.directories.load();
    await this.parts.addresses.keep(directory);
    const pairs = livePairs(directory);
    const turns = this.parts.queue.turns(directory);
    for (const pair of pairs) {
      await this.#judgeStall(pair, { directory, turn: turns.get(pair.pairId) });
      await this.#correctStage(pair);
    }
    const known = new Set(pairs.map((pair) => pair.pairId));
    for (const pairId of this.#differsSince.keys()) if (!known.has(pairId)) this.#differsSince.delete(pairId);
    for (const pairId of this.#goingSince.keys()) if (turns.get(pairId)?.kind !== 'go') this.#goingSince.delete(pairId);
  }

  /** A pair that waits for its turn does not move on, and need not. */
  async #judgeStall(pair: PairRow, { directory, turn }: { readonly directory: Directory; readonly turn: ResyncTurn | undefined }): Promise<void> {
    const { live, clock, commands, stallSeconds } = this.parts;
    const plan = directory.plans.find((one) => one.planId === pair.planId);
    const readings = live.readings(pair);
    const stage = pair.state === 'absent' || pair.state === 'removed' ? 'queued' : pair.state;
    const now = clock.now();
    const waits = plan?.state === 'paused' || (turn !== undefined && turn.kind !== 'go');
    const progressAt = Math.max(live.progressAt(pair.pairId, microsFromIso(pair.createdAt) ?? 0), turn?.kind === 'go' ? this.#turnAt(pair.pairId) : 0);
    const answer = detectStall({ stage, paused: waits, readings, progressAt, now, thresholdSeconds: stallSeconds });
    if (answer.stalled === (pair.stalledSince !== undefined)) return;
    const coveredTime = readings.masterTarget?.coveredTime;
    if (!answer.stalled && coveredTime === undefined) return;
    const judge = { kind: 'judge-stall', answer, waitsAt: stallPlace(readings, now), coveredTime } as const;
    await commands.run(watch, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pair.pairId) }, judge));
  }

  #turnAt(pairId: string): TimeMicros {
    const { clock } = this.parts;
    const since = this.#goingSince.get(pairId) ?? clock.steadyMicros();
    this.#goingSince.set(pairId, since);
    return clock.timeOf(since);
  }

  async #correctStage(pair: PairRow): Promise<void> {
    const { live, clock, commands } = this.parts;
    const { masterTarget: target, agent } = live.readings(pair);
    const now = clock.now();
    if (!target || target.epoch === 0 || target.epoch < pair.epoch || target.coveredTime === undefined || target.stage === pair.state || isSilent(target, now)) {
      this.#differsSince.delete(pair.pairId);
      return;
    }
    const steadyNow = clock.steadyMicros();
    const since = this.#differsSince.get(pair.pairId) ?? steadyNow;
    this.#differsSince.set(pair.pairId, since);
    if (steadyNow - since < differenceMicrosMin) return;
    const { epoch, stage, appliedSequence, coveredTime } = target;
    const dirtyBytes = agent?.resync?.totalBytes ?? pair.sizeBytes;
    const observed = { epoch, stage, appliedSequence, coveredTime, dirtyBytes, totalBytes: pair.sizeBytes };
    await commands.run(watch, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pair.pairId) }, { kind: 'observe', observed }));
    this.#differsSince.delete(pair.pairId);
  }
}

/** Where the newest data is held up: the first place on the way back from the target that is silent or holds something. */
function stallPlace({ agent, processServer, masterTarget }: PairReadings, now: TimeMicros): StallPlace {
  if (isSilent(masterTarget, now) || (masterTarget?.cacheBytes ?? 0) > 0) return 'master-target';
  if (isSilent(processServer, now) || (processServer?.spoolBytes ?? 0) > 0) return 'process-server';
  if (isSilent(agent, now) || (agent?.heldBytes ?? 0) > 0 || agent?.mode !== 'data') return 'agent';
  return 'unknown';
}
