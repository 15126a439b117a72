// SPDX-License-Identifier: Apache-2.0
import { pairDecider } from '@secondsite/protection';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findVolume, pairOfVolume } from '../read-models/find';
import type { ResyncQueue } from './resync-queue';

export interface ResyncsParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly queue: ResyncQueue;
}

/** Resynchronisations that an operator asks for. */
export class ResyncService {
  constructor(private readonly parts: ResyncsParts) {}

  /** The whole volume is read as soon as the pair has its turn; until then it stays in sync, if it is. */
  async request(reference: string, origin: CommandOrigin): Promise<{ readonly pairId: string; readonly volumeName: string; readonly place?: number }> {
    const { commands, directories, queue } = this.parts;
    const directory = await directories.load();
    const { pairId, volumeName } = pairOfVolume(directory, findVolume(directory, reference));
    await commands.run(origin, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, { kind: 'request-resync' }));
    const turn = queue.turns(await directories.load()).get(pairId);
    return { pairId, volumeName, ...(turn?.kind === 'queued' ? { place: turn.place } : {}) };
  }
}
