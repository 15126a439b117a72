// SPDX-License-Identifier: Apache-2.0
/**
 * Completes moves: when the telemetry of the new master target says that all of a pair is durable there, the pair has its home there from then on.
 * Level-triggered, so it does not matter when this server or the target was away.
 */
import { pairDecider } from '@secondsite/protection';
import type { CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { LiveStatus } from '../live/live-status';
import type { DirectoryCache } from '../read-models/directory-cache';
import { livePairs } from '../read-models/find';

export interface TargetMoveWatchParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly live: Pick<LiveStatus, 'arrival'>;
}

const watch = { actor: { kind: 'system', id: 'target-move-watch' } } as const;

export class TargetMoveWatch {
  constructor(private readonly parts: TargetMoveWatchParts) {}

  /** One round. Throws what the database throws. */
  async look(): Promise<void> {
    const { commands, directories, live } = this.parts;
    for (const pair of livePairs(await directories.load())) {
      const { pairId, placement } = pair;
      if (live.arrival(pair)?.state !== 'complete') continue;
      await commands.run(watch, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, { kind: 'complete-target-move', placement }));
    }
  }
}
