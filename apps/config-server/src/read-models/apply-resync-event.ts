// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import type { EntityManager } from 'typeorm';

type Of<Name extends string> = Extract<CurrentEvent, { type: `secondsite.${Name}` }>;

/** What has to be done before the pair goes on. That everything has to be read says more than that the pair does not move on. */
export async function requireResync({ time, data: { pairId, reason, work } }: Of<'replication.resync-required.v2'>, manager: EntityManager): Promise<void> {
  await manager.query('update rm_pairs set resync_required_since = $2, resync_reason = $3, required_work = $4 where pair_id = $1', [pairId, time, reason, work]);
  if (work === 'regions') return;
  await manager.query('update rm_pairs set whole_since = coalesce(whole_since, $2), stalled_since = null, stall_reason = null where pair_id = $1', [pairId, time]);
}

export async function requestResync({ time, data: { pairId, request } }: Of<'protection.resync-requested.v1'>, manager: EntityManager): Promise<void> {
  const set = 'resync_requests = $2, resync_requested_at = $3, whole_since = coalesce(whole_since, $3)';
  await manager.query(`update rm_pairs set ${set} where pair_id = $1`, [pairId, request, time]);
}

/** A request waits on while regions are repaired; reading everything fulfils it. */
export async function chooseResync({ time, data }: Of<'replication.resync-chosen.v1'>, manager: EntityManager): Promise<void> {
  const { pairId, epoch: _, ...choice } = data;
  await endRequirement(pairId, manager);
  await manager.query('update rm_pairs set last_resync = $2 where pair_id = $1', [pairId, JSON.stringify({ ...choice, at: time })]);
  if (data.work !== 'whole') return endWholeResync(pairId, manager);
  await manager.query('update rm_pairs set whole_since = coalesce(whole_since, $2), resync_requested_at = null where pair_id = $1', [pairId, time]);
}

/** It has begun. */
export async function endRequirement(pairId: string, manager: EntityManager): Promise<void> {
  await manager.query('update rm_pairs set resync_required_since = null, resync_reason = null, required_work = null where pair_id = $1', [pairId]);
}

/** Everything was read: the pair needs no turn any more, unless another resynchronisation waits. */
export async function endWholeResync(pairId: string, manager: EntityManager): Promise<void> {
  await manager.query(`update rm_pairs set whole_since = resync_requested_at where pair_id = $1 and required_work is distinct from 'whole'`, [pairId]);
}
