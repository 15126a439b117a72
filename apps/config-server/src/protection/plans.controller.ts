// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { restRoutes } from '@secondsite/contracts';
import { type PlanCommand, withWindowOfRules } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { History } from '../status/history';
import { PlanService } from './plans';
import { ProcessServerMoves } from './process-server-moves';

@Controller()
export class PlansController {
  constructor(private readonly plans: PlanService, private readonly moves: ProcessServerMoves, private readonly history: History) {}

  @Handles(restRoutes.createPlan)
  create(@Call() call: RouteCall<typeof restRoutes.createPlan>): Promise<unknown> {
    const { retention, takeOver, name, volumes, rpoThresholdSeconds, consistencyLevel, automaticResync, deduplication, ...options } = call.body;
    const wish = { name, volumes, options: { ...options, retention: withWindowOfRules(retention) }, rpoThresholdSeconds, consistencyLevel, automaticResync, deduplication, takeOver };
    return this.plans.create(wish, adminOrigin(call));
  }

  @Handles(restRoutes.listPlans)
  async list(@Call() _call: RouteCall<typeof restRoutes.listPlans>): Promise<unknown> {
    return { plans: await this.plans.list() };
  }

  @Handles(restRoutes.getPlanStatus)
  status(@Call() call: RouteCall<typeof restRoutes.getPlanStatus>): Promise<unknown> {
    return this.plans.status(call.params.plan ?? '');
  }

  @Handles(restRoutes.getPlanHistory)
  async planHistory(@Call() call: RouteCall<typeof restRoutes.getPlanHistory>): Promise<unknown> {
    return { entries: await this.history.ofPlan(call.params.plan ?? '') };
  }

  @Handles(restRoutes.changePlan)
  change(@Call() call: RouteCall<typeof restRoutes.changePlan>): Promise<unknown> {
    const { retention, consistencyIntervalSeconds: seconds, consistencyLevel, automaticResync, bandwidth, rpoThresholdSeconds, deduplication } = call.body;
    const commands: PlanCommand[] = [];
    if (retention) commands.push({ kind: 'change-retention', retention: withWindowOfRules(retention) });
    if (seconds !== undefined) commands.push({ kind: 'change-consistency-interval', consistencyIntervalSeconds: seconds ?? undefined });
    if (bandwidth !== undefined) commands.push({ kind: 'change-bandwidth', bandwidth: bandwidth ?? undefined });
    if (rpoThresholdSeconds !== undefined) commands.push({ kind: 'change-rpo-threshold', rpoThresholdSeconds });
    if (consistencyLevel) commands.push({ kind: 'change-consistency-level', consistencyLevel });
    if (deduplication !== undefined) commands.push({ kind: 'change-deduplication', deduplication });
    if (automaticResync) commands.push({ kind: 'change-automatic-resync', automaticResync });
    return this.plans.change(call.params.plan ?? '', { commands, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.addPlanVolumes)
  addVolumes(@Call() call: RouteCall<typeof restRoutes.addPlanVolumes>): Promise<unknown> {
    return this.plans.addVolumes(call.params.plan ?? '', { ...call.body, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.removePlanVolumes)
  removeVolumes(@Call() call: RouteCall<typeof restRoutes.removePlanVolumes>): Promise<unknown> {
    const { volumes, keepSeconds, confirm } = call.body;
    return this.plans.removeVolumes(call.params.plan ?? '', { volumes, keepSeconds, confirm, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.moveVolume)
  moveVolume(@Call() call: RouteCall<typeof restRoutes.moveVolume>): Promise<unknown> {
    return this.moves.move(call.params.volume ?? '', { ...call.body, origin: adminOrigin(call) });
  }

  @Handles(restRoutes.pausePlan)
  pause(@Call() call: RouteCall<typeof restRoutes.pausePlan>): Promise<unknown> {
    return this.plans.change(call.params.plan ?? '', { commands: [{ kind: 'pause' }], origin: adminOrigin(call) });
  }

  @Handles(restRoutes.resumePlan)
  resume(@Call() call: RouteCall<typeof restRoutes.resumePlan>): Promise<unknown> {
    return this.plans.change(call.params.plan ?? '', { commands: [{ kind: 'resume' }], origin: adminOrigin(call) });
  }

  @Handles(restRoutes.removePlan)
  remove(@Call() call: RouteCall<typeof restRoutes.removePlan>): Promise<void> {
    const { confirm, deleteData } = call.query;
    return this.plans.remove(call.params.plan ?? '', { confirm, deleteData: deleteData === 'true', origin: adminOrigin(call) });
  }
}
