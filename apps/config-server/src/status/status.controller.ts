// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { type Alarm, type ClusterStatus, restRoutes } from '@secondsite/contracts';
import { formatBytes, worstRpoSeconds } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { InventoryService } from '../inventory/inventory';
import { PairStatuses } from '../live/pair-statuses';
import type { Directory, PairRow } from '../read-models/directory';
import { DirectoryCache } from '../read-models/directory-cache';
import { livePairs } from '../read-models/find';
import { ResyncQueue } from '../resync/resync-queue';
import { ServerClock } from '../server-clock';
import { History } from './history';
import { Tenant } from './tenant';

@Controller()
export class StatusController {
  constructor(
    private readonly directories: DirectoryCache,
    private readonly inventory: InventoryService,
    private readonly statuses: PairStatuses,
    private readonly history: History,
    private readonly clock: ServerClock,
    private readonly tenant: Tenant,
    private readonly queue: ResyncQueue,
  ) {}

  @Handles(restRoutes.getStatus)
  async status(@Call() _call: RouteCall<typeof restRoutes.getStatus>): Promise<ClusterStatus> {
    const directory = await this.directories.load();
    const components = directory.components.map((row) => this.inventory.component(row, directory));
    const pairs = this.statuses.of(livePairs(directory), directory);
    const plans = directory.plans.filter((plan) => plan.state !== 'removed').map(({ planId, name, state }) => {
      const own = pairs.filter((pair) => pair.planId === planId);
      return { planId, name, state, pairCount: own.length, rpoSeconds: worstRpoSeconds(own.map((pair) => pair.rpoSeconds)) };
    });
    const turns = [...this.queue.turns(directory).values()];
    const resyncs = { atOnce: this.queue.pairsAtOnce, going: turns.filter(({ kind }) => kind === 'go').length, waiting: turns.filter(({ kind }) => kind !== 'go').length };
    const alarms = [...pairAlarms(directory), ...silenceAlarms(components, this.clock.iso())];
    return { generatedAt: this.clock.iso(), tenantId: this.tenant.id, components, plans, pairs, resyncs, alarms };
  }

  @Handles(restRoutes.listEvents)
  async events(@Call() call: RouteCall<typeof restRoutes.listEvents>): Promise<unknown> {
    return { entries: await this.history.newest({ context: call.query.context, limit: call.query.limit }) };
  }
}

function pairAlarms(directory: Directory): Alarm[] {
  return livePairs(directory).flatMap((pair): Alarm[] => {
    const paused = directory.plans.find((plan) => plan.planId === pair.planId)?.state === 'paused';
    const stalled: Alarm[] =
      pair.stalledSince === undefined || paused
        ? [] : [{ kind: 'stalled', subject: pair.volumeName, since: pair.stalledSince, words: pair.stallReason ?? 'it does not move on' }];
    const { volumeName: subject, resyncRequiredSince, resyncReason } = pair;
    const required: Alarm[] =
      resyncRequiredSince === undefined ? [] : [{ kind: 'resync-required', subject, since: resyncRequiredSince, words: resyncReason ?? 'it needs a resynchronisation' }];
    return [...stalled, ...required, ...shrunkAlarm(pair)];
  });
}

function shrunkAlarm({ volumeName: subject, shrunkSince: since, shrunkTo = 0, sizeBytes }: PairRow): Alarm[] {
  if (since === undefined) return [];
  const words = `the source of volume ${subject} has only ${formatBytes(shrunkTo)} of ${formatBytes(sizeBytes)}: the volume keeps its size, what is missing reads as zeros; enlarge the source again`;
  return [{ kind: 'volume-shrunk', subject, since, words }];
}

function silenceAlarms(components: ClusterStatus['components'], now: string): Alarm[] {
  return components
    .filter((component) => component.state === 'silent')
    .map(({ role, name, lastSeenAt }) => ({ kind: 'component-silent', subject: name, since: lastSeenAt ?? now, words: `the ${role.replace('-', ' ')} is not heard` }));
}
