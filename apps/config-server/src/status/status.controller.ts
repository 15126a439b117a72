// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { type Alert, type ClusterStatus, type PairStatus, restRoutes, type VolumeRpo } from '@secondsite/contracts';
import { worstRpoSeconds } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { InventoryService } from '../inventory/inventory';
import { PairStatuses } from '../live/pair-statuses';
import type { AlertRow } from '../read-models/directory';
import { DirectoryCache } from '../read-models/directory-cache';
import { findVolume, livePairs, pairOfVolume } from '../read-models/find';
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
    return { generatedAt: this.clock.iso(), tenantId: this.tenant.id, components, plans, pairs, resyncs, alarms: directory.alerts.map(alertOf) };
  }

  @Handles(restRoutes.listAlerts)
  async alerts(@Call() _call: RouteCall<typeof restRoutes.listAlerts>): Promise<{ alerts: Alert[] }> {
    return { alerts: (await this.directories.load()).alerts.map(alertOf) };
  }

  @Handles(restRoutes.explainRpo)
  async explainRpo(@Call() call: RouteCall<typeof restRoutes.explainRpo>): Promise<VolumeRpo> {
    const directory = await this.directories.load();
    const pair = pairOfVolume(directory, findVolume(directory, call.params.volume ?? ''));
    const [status] = this.statuses.of([pair], directory);
    const { volumeId, volumeName, planName, pairId, stage, rpoSeconds, rpoExplained, measuredAt } = status as PairStatus;
    return { volumeId, volumeName, planName, pairId, stage, rpoSeconds, ...rpoExplained, ...(measuredAt === undefined ? {} : { measuredAt }) };
  }

  @Handles(restRoutes.listEvents)
  async events(@Call() call: RouteCall<typeof restRoutes.listEvents>): Promise<unknown> {
    return { entries: await this.history.newest({ context: call.query.context, limit: call.query.limit }) };
  }
}

function alertOf({ kind, severity, subjectKind, subjectId, subjectName, since, words, hint }: AlertRow): Alert {
  return { kind, severity, subjectKind, subjectId, subject: subjectName, since, words, hint };
}
