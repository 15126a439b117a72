// SPDX-License-Identifier: Apache-2.0
/** Pairs join and leave plans with everything they have: replica, journal, epoch. */
import { pairDecider, planDecider } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import type { UnitOfWork } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { Directory, PairRow, PlanRow, VolumeRow } from '../read-models/directory';
import { keptPairs, livePairs } from '../read-models/find';

export interface JoiningOptions {
  /** Undefined: a plan that is about to be made. */
  readonly planId: string | undefined;
  /** Also from other plans. */
  readonly takeOver: boolean;
}

/** The pair that a volume brings into a plan; undefined: it needs a new one. Throws RefusedRequest `volume/protected`. */
export function joiningPair(volume: VolumeRow, directory: Directory, { planId, takeOver }: JoiningOptions): PairRow | undefined {
  const kept = keptPairs(directory).find((one) => one.volumeId === volume.volumeId);
  const live = livePairs(directory).find((one) => one.volumeId === volume.volumeId);
  if (!live || (takeOver && live.planId !== planId)) return live ?? kept;
  const plan = directory.plans.find((one) => one.planId === live.planId);
  const detail = `volume ${volume.name} is already protected by plan ${plan?.name ?? live.planId}`;
  const hint = live.planId === planId ? 'Nothing has to be done.' : 'A volume belongs to one plan; take it over from there with its replica and points (--take-over), or remove that plan first.';
  throw new RefusedRequest({ status: 409, code: 'volume/protected', detail, hint });
}

/** From the plans that they are in, if any; those go on with the volumes that they have left. */
export async function joinPlan(pairs: readonly PairRow[], { planId, unit }: { readonly planId: string; readonly unit: UnitOfWork }): Promise<void> {
  for (const { pairId, volumeId, planId: fromPlanId, leftRetention } of pairs) {
    if (!leftRetention) await unit.decide({ decider: planDecider, streamId: streams.plan(fromPlanId) }, { kind: 'remove-volumes', volumeIds: [volumeId], deleteData: false });
    await unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, { kind: 'join-plan', planId });
  }
}

export interface Leaving {
  readonly plan: PlanRow;
  /** 0: nothing is kept. */
  readonly keepSeconds: number;
  readonly now: TimeMicros;
  readonly unit: UnitOfWork;
}

/** Pairs of the plan, or such that left it before and are not to be kept any longer. Returns until when they are kept. */
export async function leavePlan(pairs: readonly PairRow[], { plan, keepSeconds, now, unit }: Leaving): Promise<string | undefined> {
  const deleteData = keepSeconds === 0;
  const keptUntil = isoFromMicros(now + keepSeconds * 1e6);
  const { windowSeconds, spaceBytes } = plan.retention;
  // Nothing is added to the journal any more, so what there is may stay until then.
  const retention = { windowSeconds: windowSeconds + keepSeconds, ...(spaceBytes === undefined ? {} : { spaceBytes }) };
  const volumeIds = pairs.filter(({ leftRetention }) => !leftRetention).map(({ volumeId }) => volumeId);
  await unit.decide({ decider: planDecider, streamId: streams.plan(plan.planId) }, { kind: 'remove-volumes', volumeIds, deleteData });
  for (const { pairId } of pairs) {
    const command = deleteData ? ({ kind: 'remove', deleteData } as const) : ({ kind: 'leave-plan', keptUntil, retention } as const);
    await unit.decide({ decider: pairDecider, streamId: streams.pair(pairId) }, command);
  }
  return deleteData ? undefined : keptUntil;
}
