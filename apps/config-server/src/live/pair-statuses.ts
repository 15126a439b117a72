// SPDX-License-Identifier: Apache-2.0
import type { PairStatus } from '@secondsite/contracts';
import type { Directory, PairRow } from '../read-models/directory';
import type { ResyncQueue } from '../resync/resync-queue';
import type { ServerClock } from '../server-clock';
import type { LiveStatus } from './live-status';
import { pairStatus } from './pair-status';

/** Live status of pairs, computed when asked. */
export class PairStatuses {
  constructor(private readonly live: LiveStatus, private readonly clock: ServerClock, private readonly queue: ResyncQueue) {}

  of(pairs: readonly PairRow[], directory: Directory): PairStatus[] {
    const plans = new Map(directory.plans.map((plan) => [plan.planId, plan]));
    const hostNames = new Map(directory.hosts.map((host) => [host.hostId, host.name]));
    const turns = this.queue.turns(directory);
    const now = this.clock.now();
    return pairs.map((pair) => {
      const plan = plans.get(pair.planId);
      const hostName = hostNames.get(pair.hostId) ?? pair.hostId;
      return pairStatus({ pair, planName: plan?.name ?? pair.planId, paused: plan?.state === 'paused', hostName, readings: this.live.readings(pair), turn: turns.get(pair.pairId), arrival: this.live.arrival(pair), now });
    });
  }
}
