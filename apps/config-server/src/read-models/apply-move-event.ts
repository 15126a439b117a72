// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import type { EntityManager } from 'typeorm';

/** Moves of pairs between process servers and plans. */
export async function applyMoveEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  switch (event.type) {
    case 'secondsite.protection.process-server-changed.v1': {
      const { pairId, fromId, toId, move } = event.data;
      const leaving = JSON.stringify({ fromId, switched: false, since: event.time });
      await manager.query('update rm_pairs set process_server_id = $2, moves = $3, leaving = $4 where pair_id = $1', [pairId, toId, move, leaving]);
      break;
    }
    case 'secondsite.protection.process-server-switched.v1':
      await manager.query(`update rm_pairs set leaving = leaving || '{"switched": true}' where pair_id = $1`, [event.data.pairId]);
      break;
    case 'secondsite.protection.process-server-left.v1': {
      const { pairId, fromId } = event.data;
      const left = `(left_process_servers - $2::text) || to_jsonb($2::text)`;
      await manager.query(`update rm_pairs set leaving = null, left_process_servers = ${left} where pair_id = $1`, [pairId, fromId]);
      break;
    }
    case 'secondsite.protection.pair-joined-plan.v1':
      await manager.query('update rm_pairs set plan_id = $2, kept_until = null, left_retention = null where pair_id = $1', [event.data.pairId, event.data.planId]);
      break;
    case 'secondsite.protection.pair-left-plan.v1': {
      const { pairId, keptUntil, retention } = event.data;
      await manager.query('update rm_pairs set kept_until = $2, left_retention = $3 where pair_id = $1', [pairId, keptUntil, JSON.stringify(retention)]);
    }
  }
}
