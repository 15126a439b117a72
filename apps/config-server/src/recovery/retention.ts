// SPDX-License-Identifier: Apache-2.0
import { type Plan, type PointRequest, previewRetentionOperation, type RetentionLadder, type RetentionPreview } from '@secondsite/contracts';
import { faultOfRules, invalidLadder, planDecider } from '@secondsite/protection';
import { randomBytes } from 'node:crypto';
import { type CommandOrigin, refusedRequest } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { PlanService } from '../protection/plans';
import { findPlan, pairsOfPlan } from '../read-models/find';
import { pointSelection, resolvePoint } from './point-requests';
import { refusedPoint } from './refused-point';
import type { RecoveryParts } from './views';

/** How long the target keeps a point until the pin has reached it with the desired state. */
const holdSeconds = 120;

/** What retention keeps of a plan's points (F23): previews of a change, and pins. */
export class RetentionService {
  constructor(private readonly parts: RecoveryParts, private readonly plans: PlanService) {}

  /** What `retention` would drop now, asked from the master targets; nothing is changed. */
  async preview(reference: string, retention: RetentionLadder): Promise<RetentionPreview> {
    const fault = faultOfRules(retention.rules ?? []);
    if (fault !== undefined) throw refusedRequest(invalidLadder(fault));
    const directory = await this.parts.directories.load();
    const pairs = pairsOfPlan(directory, findPlan(directory, reference).planId);
    const replies = await Promise.all(
      [...Map.groupBy(pairs, (pair) => pair.masterTargetId)].map(([componentId, own]) =>
        this.parts.bus.request(previewRetentionOperation, { componentId }, { pairIds: own.map(({ pairId }) => pairId), retention }),
      ),
    );
    const previews = new Map(replies.flatMap((reply) => reply.pairs).map((preview) => [preview.pairId, preview]));
    const volumes = pairs.flatMap(({ pairId, volumeId, volumeName }) => {
      const preview = previews.get(pairId);
      return preview ? [{ ...preview, volumeId, volumeName }] : [];
    });
    return { volumes };
  }

  /** Throws RefusedRequest `recovery/point-refused` with the nearest points, or `pin/exists`. */
  async pin(reference: string, wish: { readonly name: string; readonly point: PointRequest; readonly origin: CommandOrigin }): Promise<Plan> {
    const { clock, commands, directories } = this.parts;
    const directory = await directories.load();
    const { planId } = findPlan(directory, reference);
    const { name, point, origin } = wish;
    const resolved = await resolvePoint(this.parts, { pairs: pairsOfPlan(directory, planId), point: pointSelection(point, clock.now()), holdSeconds });
    if (resolved.outcome === 'refused') throw await refusedPoint(commands, { refusal: resolved, point, origin });
    const pin = { pinId: `pin-${randomBytes(5).toString('hex')}`, name, points: [...resolved.times].map(([pairId, time]) => ({ pairId, time })) };
    await commands.run(origin, (unit) => unit.decide({ decider: planDecider, streamId: streams.plan(planId) }, { kind: 'pin-point', pin }));
    return this.plans.get(planId);
  }

  unpin(reference: string, { pin, origin }: { readonly pin: string; readonly origin: CommandOrigin }): Promise<Plan> {
    return this.plans.change(reference, { commands: [{ kind: 'unpin-point', nameOrId: pin }], origin });
  }
}
