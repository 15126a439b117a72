// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import type { Projection } from '@secondsite/event-store';
import { nextState, pairGraph, type PairState, type PairStep } from '@secondsite/protection';
import type { EntityManager } from 'typeorm';
import { chooseResync, endRequirement, endWholeResync, requestResync, requireResync } from './apply-resync-event';
import { applyAlertEvent } from './alerts';
import { applyMoveEvent } from './apply-move-event';
import { applyTargetMove } from './apply-target-move';

/** The read models, in the order in which they are built again. Each is brought forward inside the transaction that appends an event. */
export const readModels: readonly Projection[] = [
  { name: 'inventory', tables: ['rm_hosts', 'rm_components', 'rm_volumes'], apply: applyInventoryEvent },
  { name: 'enrolment tokens', tables: ['rm_enrolment_tokens'], apply: applyTokenEvent },
  { name: 'protection', tables: ['rm_plans', 'rm_pairs'], apply: applyToPlansAndPairs },
  { name: 'alerts', tables: ['rm_alerts'], apply: applyAlertEvent },
];

async function applyToPlansAndPairs(event: CurrentEvent, manager: EntityManager): Promise<void> {
  if (event.type.startsWith('secondsite.protection.')) await applyProtectionEvent(event, manager);
  else if (event.type.startsWith('secondsite.replication.')) await applyReplicationEvent(event, manager);
  else await applyBookmarkEvent(event, manager);
}

async function applyInventoryEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  switch (event.type) {
    case 'secondsite.inventory.host-added.v1':
      await manager.query('insert into rm_hosts (host_id, name, added_at) values ($1, $2, $3)', [event.data.hostId, event.data.name, event.time]);
      break;
    case 'secondsite.inventory.host-removed.v1':
      await manager.query('delete from rm_hosts where host_id = $1', [event.data.hostId]);
      break;
    case 'secondsite.inventory.component-enrolled.v1':
      await enrolComponent(event, manager);
      break;
    case 'secondsite.inventory.component-registered.v1':
      await manager.query('update rm_components set url = coalesce($2, url), version = $3 where component_id = $1', [
        event.data.componentId, event.data.url ?? null, event.data.version,
      ]);
      break;
    case 'secondsite.inventory.host-priority-changed.v1':
      await manager.query('update rm_hosts set priority = $2 where host_id = $1', [event.data.hostId, event.data.priority]);
      break;
    case 'secondsite.inventory.component-bandwidth-changed.v1':
      await manager.query('update rm_components set bandwidth = $2 where component_id = $1', [event.data.componentId, jsonOrNull(event.data.bandwidth)]);
      break;
    case 'secondsite.inventory.volume-added.v1':
      await manager.query('insert into rm_volumes (volume_id, host_id, name, tap, size_bytes, added_at) values ($1, $2, $3, $4, $5, $6)', [
        event.data.volumeId, event.data.hostId, event.data.name, JSON.stringify(event.data.tap), event.data.sizeBytes ?? null, event.time,
      ]);
      break;
    case 'secondsite.inventory.volume-hooks-set.v1':
      await manager.query('update rm_volumes set hooks = $2 where volume_id = $1', [event.data.volumeId, JSON.stringify(event.data.hooks)]);
      break;
    case 'secondsite.inventory.volume-removed.v1':
      await manager.query('delete from rm_volumes where volume_id = $1', [event.data.volumeId]);
      break;
    case 'secondsite.security.certificate-renewed.v1':
      await manager.query('update rm_components set certificate_expires_at = $2 where component_id = $1', [event.data.componentId, event.data.expiresAt]);
  }
}

/** A component that enrols again (lost its identity) keeps its address. */
async function enrolComponent(event: Extract<CurrentEvent, { type: 'secondsite.inventory.component-enrolled.v1' }>, manager: EntityManager): Promise<void> {
  const { componentId, role, name, expiresAt } = event.data;
  await manager.query(
    `insert into rm_components (component_id, role, name, enrolled_at, certificate_expires_at) values ($1, $2, $3, $4, $5)
     on conflict (component_id) do update set name = $3, enrolled_at = $4, certificate_expires_at = $5`,
    [componentId, role, name, event.time, expiresAt],
  );
}

/** The token that was used is the cause of the enrolment. */
async function applyTokenEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  if (event.type === 'secondsite.security.enrolment-token-issued.v1') {
    const { tokenId, role, hostId, expiresAt } = event.data;
    await manager.query('insert into rm_enrolment_tokens (token_id, role, host_id, issued_at, expires_at) values ($1, $2, $3, $4, $5)', [
      tokenId, role, hostId ?? null, event.time, expiresAt,
    ]);
  } else if (event.type === 'secondsite.inventory.component-enrolled.v1') {
    await manager.query('update rm_enrolment_tokens set used_by = $2 where token_id = $1', [event.causationid ?? '', event.data.componentId]);
  }
}

async function applyProtectionEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  switch (event.type) {
    case 'secondsite.protection.plan-created.v1':
      await createPlan(event, manager);
      break;
    case 'secondsite.protection.plan-paused.v1':
      await setPlanState({ planId: event.data.planId, state: 'paused' }, manager);
      break;
    case 'secondsite.protection.plan-resumed.v1':
      await setPlanState({ planId: event.data.planId, state: 'active' }, manager);
      break;
    case 'secondsite.protection.plan-removed.v1':
      await setPlanState({ planId: event.data.planId, state: 'removed' }, manager);
      break;
    case 'secondsite.protection.retention-changed.v2':
      await manager.query('update rm_plans set retention = $2 where plan_id = $1', [event.data.planId, JSON.stringify(event.data.retention)]);
      break;
    case 'secondsite.protection.point-pinned.v1': {
      const { planId, ...pin } = event.data;
      await manager.query('update rm_plans set pins = pins || $2::jsonb where plan_id = $1', [planId, JSON.stringify([pin])]);
      break;
    }
    case 'secondsite.protection.point-unpinned.v1':
      await manager.query(
        `update rm_plans set pins = (select coalesce(jsonb_agg(pin), '[]') from jsonb_array_elements(pins) pin where pin->>'pinId' <> $2) where plan_id = $1`,
        [event.data.planId, event.data.pinId],
      );
      break;
    case 'secondsite.protection.consistency-interval-changed.v1':
      await manager.query('update rm_plans set consistency_interval_seconds = $2 where plan_id = $1', [
        event.data.planId, event.data.consistencyIntervalSeconds ?? null,
      ]);
      break;
    case 'secondsite.protection.bandwidth-changed.v1':
      await manager.query('update rm_plans set bandwidth = $2 where plan_id = $1', [event.data.planId, jsonOrNull(event.data.bandwidth)]);
      break;
    case 'secondsite.protection.rpo-threshold-changed.v1':
      await manager.query('update rm_plans set rpo_threshold_seconds = $2 where plan_id = $1', [event.data.planId, event.data.rpoThresholdSeconds]);
      break;
    case 'secondsite.protection.consistency-level-changed.v1':
      await manager.query('update rm_plans set consistency_level = $2 where plan_id = $1', [event.data.planId, event.data.consistencyLevel]);
      break;
    case 'secondsite.protection.deduplication-changed.v1':
      await manager.query('update rm_plans set deduplication = $2 where plan_id = $1', [event.data.planId, event.data.deduplication]);
      break;
    case 'secondsite.protection.automatic-resync-changed.v1':
      await manager.query('update rm_plans set automatic_resync = $2 where plan_id = $1', [event.data.planId, JSON.stringify(event.data.automaticResync)]);
      break;
    case 'secondsite.protection.pair-created.v1':
      await createPair(event, manager);
      break;
    case 'secondsite.protection.resync-requested.v1':
      await requestResync(event, manager);
      break;
    case 'secondsite.protection.target-move-started.v1':
    case 'secondsite.protection.target-move-cancelled.v1':
    case 'secondsite.protection.target-moved.v1':
      await applyTargetMove(event, manager);
      break;
    case 'secondsite.protection.pair-removed.v1':
      await stepPair({ pairId: event.data.pairId, step: 'removed' }, manager);
      await manager.query('update rm_pairs set delete_data = $2 where pair_id = $1', [event.data.pairId, event.data.deleteData]);
      break;
    default:
      await applyMoveEvent(event, manager);
  }
}

async function createPlan(event: Extract<CurrentEvent, { type: 'secondsite.protection.plan-created.v1' }>, manager: EntityManager): Promise<void> {
  const { planId, name, retention, consistencyIntervalSeconds, compression, folding } = event.data;
  await manager.query(
    `insert into rm_plans (plan_id, name, state, created_at, retention, consistency_interval_seconds, compression, folding)
     values ($1, $2, 'active', $3, $4, $5, $6, $7)`,
    [planId, name, event.time, JSON.stringify(retention), consistencyIntervalSeconds ?? null, compression, folding],
  );
}

async function setPlanState(change: { readonly planId: string; readonly state: string }, manager: EntityManager): Promise<void> {
  await manager.query('update rm_plans set state = $2 where plan_id = $1', [change.planId, change.state]);
}

async function createPair(event: Extract<CurrentEvent, { type: 'secondsite.protection.pair-created.v1' }>, manager: EntityManager): Promise<void> {
  const { pairId, planId, volumeId, volumeName, hostId, processServerId, masterTargetId, sizeBytes } = event.data;
  await manager.query(
    `insert into rm_pairs (pair_id, plan_id, volume_id, volume_name, host_id, process_server_id, master_target_id, size_bytes, created_at, whole_since)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)`,
    [pairId, planId, volumeId, volumeName, hostId, processServerId, masterTargetId, sizeBytes, event.time],
  );
}

async function applyReplicationEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  switch (event.type) {
    case 'secondsite.replication.resync-started.v1':
      await endRequirement(event.data.pairId, manager);
      await stepPair({ pairId: event.data.pairId, step: 'resync-started', epoch: event.data.epoch }, manager);
      break;
    case 'secondsite.replication.resync-read.v1':
      await stepPair({ pairId: event.data.pairId, step: 'resync-read', epoch: event.data.epoch }, manager);
      await endWholeResync(event.data.pairId, manager);
      break;
    case 'secondsite.replication.differential-sync-reached.v1':
      await stepPair({ pairId: event.data.pairId, step: 'differential-sync-reached', epoch: event.data.epoch }, manager);
      await endWholeResync(event.data.pairId, manager);
      break;
    case 'secondsite.replication.bitmap-mode-entered.v1':
    case 'secondsite.replication.bitmap-mode-left.v1':
      await setPairFlag({ pairId: event.data.pairId, flag: 'bitmap_mode', on: event.type.includes('entered') }, manager);
      break;
    case 'secondsite.replication.flow-control-started.v1':
    case 'secondsite.replication.flow-control-ended.v1':
      await setPairFlag({ pairId: event.data.pairId, flag: 'flow_controlled', on: event.type.includes('started') }, manager);
      break;
    case 'secondsite.replication.resync-required.v2':
      await requireResync(event, manager);
      break;
    case 'secondsite.replication.resync-chosen.v1':
      await chooseResync(event, manager);
      break;
    case 'secondsite.replication.volume-grown.v1':
      await manager.query('update rm_pairs set size_bytes = $2 where pair_id = $1', [event.data.pairId, event.data.toBytes]);
      break;
    case 'secondsite.replication.volume-shrunk.v1':
      await manager.query('update rm_pairs set shrunk_since = coalesce(shrunk_since, $2), shrunk_to = $3 where pair_id = $1', [event.data.pairId, event.time, event.data.sourceBytes]);
      break;
    case 'secondsite.replication.volume-restored.v1':
      await manager.query('update rm_pairs set shrunk_since = null, shrunk_to = null where pair_id = $1', [event.data.pairId]);
      break;
    case 'secondsite.replication.replication-stalled.v1':
      await manager.query('update rm_pairs set stalled_since = $2, stall_reason = $3 where pair_id = $1', [event.data.pairId, event.time, event.data.reason]);
      break;
    case 'secondsite.replication.replication-recovered.v1':
      await manager.query('update rm_pairs set stalled_since = null, stall_reason = null where pair_id = $1', [event.data.pairId]);
  }
}

async function applyBookmarkEvent(event: CurrentEvent, manager: EntityManager): Promise<void> {
  if (event.type !== 'secondsite.recovery.bookmark-created.v2' && event.type !== 'secondsite.recovery.bookmark-failed.v1') return;
  const reason = event.type === 'secondsite.recovery.bookmark-failed.v1' ? event.data.reason : null;
  await manager.query('update rm_plans set bookmark_failure = $2 where plan_id = $1', [event.data.planId ?? '', reason]);
}

interface PairFlagChange {
  readonly pairId: string;
  readonly flag: 'bitmap_mode' | 'flow_controlled';
  readonly on: boolean;
}

async function setPairFlag({ pairId, flag, on }: PairFlagChange, manager: EntityManager): Promise<void> {
  await manager.query(`update rm_pairs set ${flag} = $2 where pair_id = $1`, [pairId, on]);
}

async function stepPair(move: { readonly pairId: string; readonly step: PairStep; readonly epoch?: number }, manager: EntityManager): Promise<void> {
  const [row] = await manager.query<{ state: PairState }[]>('select state from rm_pairs where pair_id = $1', [move.pairId]);
  if (!row) return;
  const state = nextState(pairGraph, row.state, move.step);
  await manager.query('update rm_pairs set state = $2, epoch = coalesce($3, epoch) where pair_id = $1', [move.pairId, state, move.epoch ?? null]);
}

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
