// SPDX-License-Identifier: Apache-2.0
import type { TargetMoveFact } from '@secondsite/protection';
import type { EntityManager } from 'typeorm';

/** Where a pair has its home, where it is on its way to, and which master targets may still have something of it. */
export async function applyTargetMove({ type, data }: TargetMoveFact, manager: EntityManager): Promise<void> {
  const { pairId, placement, fromMasterTargetId, toMasterTargetId } = data;
  switch (type) {
    case 'secondsite.protection.target-move-started.v1':
      await manager.query(
        `update rm_pairs set placement = $2, moving_to = $3, former_targets = (select jsonb_agg(distinct target) from jsonb_array_elements(former_targets || $4::jsonb) target) where pair_id = $1`,
        [pairId, placement, toMasterTargetId, JSON.stringify([fromMasterTargetId, toMasterTargetId])],
      );
      break;
    case 'secondsite.protection.target-move-cancelled.v1':
      await manager.query('update rm_pairs set moving_to = null where pair_id = $1', [pairId]);
      break;
    case 'secondsite.protection.target-moved.v1':
      await manager.query('update rm_pairs set master_target_id = $2, moving_to = null where pair_id = $1', [pairId, toMasterTargetId]);
  }
}
