// SPDX-License-Identifier: Apache-2.0
import type { PairStatus } from '@secondsite/contracts';
import type { Directory, PairRow } from '../read-models/directory';
import type { ResyncQueue } from '../resync/resync-queue';
import type { ServerClock } from '../server-clock';
import type { LiveStatus } from './live-status';
import { moveStatus } from './move-status';
import { pairStatus } from './pair-status';

export interface PairStatusesParts {
  readonly live: LiveStatus;
  readonly clock: ServerClock;
  readonly queue: ResyncQueue;
  /** See MoveWatch. */
  readonly moveGiveUpSeconds: number;
}

/** Live status of pairs, computed when asked. */
export class PairStatuses {
  constructor(private readonly parts: PairStatusesParts) {}

  of(pairs: readonly PairRow[], directory: Directory): PairStatus[] {
    const { live, clock, queue, moveGiveUpSeconds: giveUpSeconds } = this.parts;
    const plans = new Map(directory.plans.map((plan) => [plan.planId, plan]));
    const hostNames = new Map(directory.hosts.map((host) => [host.hostId, host.name]));
    const nameOf = (componentId: string): string => directory.components.find((component) => component.componentId === componentId)?.name ?? componentId;
    const turns = queue.turns(directory);
    const now = clock.now();
    return pairs.map((pair) => {
      const plan = plans.get(pair.planId);
      const paused = plan?.state === 'paused';
      const hostName = hostNames.get(pair.hostId) ?? pair.hostId;
      const status = pairStatus({ pair, planName: plan?.name ?? pair.planId, paused, hostName, readings: live.readings(pair), turn: turns.get(pair.pairId), arrival: live.arrival(pair), now });
      return { ...status, ...moveStatus(pair, { live, nameOf, paused, giveUpSeconds, now }) };
    });
  }
}
