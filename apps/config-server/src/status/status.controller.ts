// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { type Alarm, type ClusterStatus, restRoutes } from '@secondsite/contracts';
import { worstRpoSeconds } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { InventoryService } from '../inventory/inventory';
import { PairStatuses } from '../live/pair-statuses';
import type { Directory } from '../read-models/directory';
import { DirectoryCache } from '../read-models/directory-cache';
import { livePairs } from '../read-models/find';
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
    const alarms = [...pairAlarms(directory), ...retentionAlarms(pairs), ...silenceAlarms(components, this.clock.iso())];
    return { generatedAt: this.clock.iso(), tenantId: this.tenant.id, components, plans, pairs, alarms };
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
    const { volumeName: subject, resyncRequiredSince: since, resyncReason } = pair;
    return since === undefined ? stalled : [...stalled, { kind: 'resync-required', subject, since, words: resyncReason ?? 'it needs a resynchronisation' }];
  });
}

function retentionAlarms(pairs: ClusterStatus['pairs']): Alarm[] {
  return pairs.flatMap(({ volumeName: subject, retention }): Alarm[] =>
    retention?.shortenedAt === undefined ? [] : [{ kind: 'retention-short', subject, since: retention.shortenedAt, words: `${subject}: ${retention.words}` }],
  );
}

function silenceAlarms(components: ClusterStatus['components'], now: string): Alarm[] {
  return components
    .filter((component) => component.state === 'silent')
    .map(({ role, name, lastSeenAt }) => ({ kind: 'component-silent', subject: name, since: lastSeenAt ?? now, words: `the ${role.replace('-', ' ')} is not heard` }));
}
