// SPDX-License-Identifier: Apache-2.0
/**
 * Takes pairs that move to another process server from step to step, by what their components say each second: nothing is lost when one of them,
 * or this server, is started anew in between. An old process server that is silent for too long is given up.
 */
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';
import { pairDecider, type PairCommand } from '@secondsite/protection';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import type { ServerClock } from '../server-clock';
import type { LiveStatus } from './live-status';

export interface MoveWatchParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: Pick<LiveStatus, 'volume' | 'leftBehind' | 'seenAt' | 'startedAt'>;
  readonly clock: Pick<ServerClock, 'now'>;
  readonly giveUpSeconds: number;
}

const watch = { actor: { kind: 'system', id: 'move-watch' } } as const;

export class MoveWatch {
  constructor(private readonly parts: MoveWatchParts) {}

  /** One round. Throws what the database throws. */
  async look(): Promise<void> {
    const { pairs } = await this.parts.directories.load();
    for (const pair of pairs.filter(({ state }) => state !== 'removed')) {
      const command = this.#nextStep(pair);
      if (command) await this.parts.commands.run(watch, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pair.pairId) }, command));
    }
  }

  #nextStep(pair: PairRow): PairCommand | undefined {
    const { live, clock, giveUpSeconds } = this.parts;
    const { leaving, moves: move } = pair;
    if (!leaving) return undefined;
    if (!leaving.switched) {
      const volume = live.volume(pair);
      return volume?.pairId === pair.pairId && volume.move === move ? { kind: 'observe-switch', move, epoch: volume.epoch, sequence: volume.sequence } : undefined;
    }
    if (live.leftBehind(pair)?.drained === move) return { kind: 'observe-drained', move };
    const silentSince = silentSinceOf(leaving, live);
    if (clock.now() <= silentSince + giveUpSeconds * 1e6) return undefined;
    return { kind: 'give-up-process-server', reason: `it has not been heard since ${isoFromMicros(silentSince)}` };
  }
}

/** Since when nothing was heard of the process server that a pair leaves: at the earliest when that began, or this server. */
export function silentSinceOf({ fromId, since }: NonNullable<PairRow['leaving']>, live: Pick<LiveStatus, 'seenAt' | 'startedAt'>): TimeMicros {
  return live.seenAt(fromId) ?? Math.max(live.startedAt, microsFromIso(since) ?? 0);
}
