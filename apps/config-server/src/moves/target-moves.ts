// SPDX-License-Identifier: Apache-2.0
import { formatBytes, isFull, pairDecider } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { InventoryService } from '../inventory/inventory';
import type { LiveStatus } from '../live/live-status';
import type { ComponentRow, Directory, PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findComponent, findVolume, pairOfVolume } from '../read-models/find';

export interface TargetMovesParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly inventory: InventoryService;
  readonly live: Pick<LiveStatus, 'readings'>;
  /** A master target takes no more pairs than this. */
  readonly pairsPerTarget: number;
}

/** A move as it was when it was asked for. */
export interface TargetMove {
  readonly pairId: string;
  readonly volumeName: string;
  readonly fromMasterTargetId: string;
  readonly toMasterTargetId: string;
}

/** Moves of pairs to other master targets (F26), begun and cancelled by operators; TargetMoveWatch completes them. */
export class TargetMoves {
  constructor(private readonly parts: TargetMovesParts) {}

  /** Returns when the move is recorded; it goes on by itself. `masterTarget`: name or id. Repeating it changes nothing. */
  async begin(volume: string, { masterTarget, origin }: { readonly masterTarget: string; readonly origin: CommandOrigin }): Promise<TargetMove> {
    const directory = await this.parts.directories.load();
    const pair = pairOfVolume(directory, findVolume(directory, volume));
    const target = findComponent(directory, masterTarget);
    if (pair.movingTo !== target.componentId) this.#refuseUnlessAble(pair, target, directory);
    await this.#decide(pair, { kind: 'start-target-move', masterTargetId: target.componentId }, origin);
    return moveOf(pair, target.componentId);
  }

  async cancel(volume: string, origin: CommandOrigin): Promise<TargetMove> {
    const directory = await this.parts.directories.load();
    const pair = pairOfVolume(directory, findVolume(directory, volume));
    await this.#decide(pair, { kind: 'cancel-target-move' }, origin);
    return moveOf(pair, pair.movingTo ?? pair.masterTargetId);
  }

  async #decide({ pairId }: PairRow, command: { readonly kind: 'start-target-move'; readonly masterTargetId: string } | { readonly kind: 'cancel-target-move' }, origin: CommandOrigin): Promise<void> {
    await this.parts.commands.run(origin, (unit) => unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, command));
  }

  #refuseUnlessAble(pair: PairRow, row: ComponentRow, directory: Directory): void {
    const { componentId, role, state, pairCount } = this.parts.inventory.component(row, directory);
    if (role !== 'master-target') {
      throw new RefusedRequest({ status: 422, code: 'component/not-a-master-target', detail: `${componentId} is a component of role ${role}`, hint: 'Name a master target; secondsite status lists them.' });
    }
    if (state !== 'online') throw refused('target/not-online', `master target ${row.name} has not been heard lately`, 'Start it; try again when the status shows it online.');
    const coldBytes = this.parts.live.readings(pair).masterTarget?.retention?.cold?.bytes ?? 0;
    if (coldBytes > 0) {
      const hint = 'Shorten the window of its plan until nothing of it is in the cold store (secondsite plan status), or leave the pair where it is.';
      throw refused('move/cold-segments', `${formatBytes(coldBytes)} of its undo are in the cold store of its master target, which no other one reads`, hint);
    }
    if (!isFull({ pairCount, pairsMax: this.parts.pairsPerTarget })) return;
    throw refused('placement/full', `master target ${row.name} has ${pairCount} pairs, as many as it may have`, 'Choose another one, or raise SECONDSITE_PAIRS_PER_TARGET of the configuration server.');
  }
}

function moveOf({ pairId, volumeName, masterTargetId: fromMasterTargetId }: PairRow, toMasterTargetId: string): TargetMove {
  return { pairId, volumeName, fromMasterTargetId, toMasterTargetId };
}

function refused(code: string, detail: string, hint: string): RefusedRequest {
  return new RefusedRequest({ status: 409, code, detail, hint });
}
