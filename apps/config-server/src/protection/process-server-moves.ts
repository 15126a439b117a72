// SPDX-License-Identifier: Apache-2.0
import type { PairStatus } from '@secondsite/contracts';
import { pairDecider } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { InventoryService } from '../inventory/inventory';
import type { PairStatuses } from '../live/pair-statuses';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findComponent, findVolume, pairOfVolume } from '../read-models/find';

export interface ProcessServerMovesParts {
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly inventory: InventoryService;
  readonly statuses: PairStatuses;
}

export interface MoveWish {
  /** Name or id. */
  readonly processServer: string;
  readonly giveUp: boolean;
  readonly origin: CommandOrigin;
}

/** Moves of volumes to other process servers (F14). */
export class ProcessServerMoves {
  constructor(private readonly parts: ProcessServerMovesParts) {}

  /** Begins a move, or gives up what one that is under way still waits for. The status of the pair says how far it is. */
  async move(reference: string, { processServer, giveUp, origin }: MoveWish): Promise<PairStatus> {
    const { commands, directories } = this.parts;
    const directory = await directories.load();
    const pair = pairOfVolume(directory, findVolume(directory, reference));
    const toId = await this.#destination(processServer, { isNew: (componentId) => componentId !== pair.processServerId });
    const aggregate = { decider: pairDecider, streamId: streams.pair(pair.pairId) };
    await commands.run(origin, (unit) => unit.decide(aggregate, { kind: 'move-to-process-server', toId, giveUp }));
    const after = await directories.load();
    const [status] = this.parts.statuses.of(after.pairs.filter(({ pairId }) => pairId === pair.pairId), after);
    return status as PairStatus;
  }

  /** Only to one that is there to take over; nobody has to be there to be given up for. */
  async #destination(reference: string, { isNew }: { readonly isNew: (componentId: string) => boolean }): Promise<string> {
    const directory = await this.parts.directories.load();
    const { componentId, role, name, state, url } = this.parts.inventory.component(findComponent(directory, reference), directory);
    if (role !== 'process-server') {
      const hint = 'The list of components shows which ones are process servers.';
      throw new RefusedRequest({ status: 422, code: 'component/not-a-process-server', detail: `${name} is a component of role ${role}`, hint });
    }
    if (!isNew(componentId) || (state === 'online' && url !== undefined)) return componentId;
    const hint = 'Start it; try again when the status shows it online.';
    throw new RefusedRequest({ status: 409, code: 'placement/process-server-silent', detail: `process server ${name} has not been heard lately`, hint });
  }
}
