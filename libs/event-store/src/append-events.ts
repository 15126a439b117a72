// SPDX-License-Identifier: Apache-2.0
/**
 * Appending takes a lock of the tenant until the caller's transaction ends. So positions of a tenant become visible in the order they were
 * given: whoever has seen position n has seen every smaller one that will ever be, and a reader needs nothing but a checkpoint.
 */
import type { CloudEvent } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import assert from 'node:assert';
import type { EntityManager } from 'typeorm';
import { newRow } from './recorded-event';

export interface AppendRequest {
  readonly tenantId: string;
  readonly streamId: string;
  /** Version of the stream the decision was made on; 0 for a new stream; `any`: to its end, whatever it holds. */
  readonly expectedVersion: number | 'any';
  readonly events: readonly CloudEvent[];
  /** False for events that came from the bus: they are not published again. Default true. */
  readonly toRelay?: boolean | undefined;
}

export type AppendOutcome =
  | { readonly outcome: 'appended'; readonly version: number; readonly lastPosition: number }
  /** Every event was there already (by id); nothing was written. */
  | { readonly outcome: 'duplicate'; readonly version: number }
  /** The stream has moved on; nothing was written and the transaction can go on. */
  | { readonly outcome: 'conflict'; readonly expectedVersion: number; readonly actualVersion: number };

/** Channel of the notification that follows each commit with events. */
export const eventsChannel = 'secondsite_events';

const insert = `
insert into events (tenant_id, stream_id, version, event_id, type, context, subject, occurred_at, to_relay, data, metadata)
select $1, $2, $3::int + new.number, new.event_id, new.type, new.context, new.subject, new.occurred_at, $4, new.data, new.metadata
from rows from (jsonb_to_recordset($5::jsonb) as (event_id text, type text, context text, subject text, occurred_at timestamptz, data jsonb, metadata jsonb))
  with ordinality as new (event_id, type, context, subject, occurred_at, data, metadata, number)
order by new.number
returning position`;

/** Runs in the transaction of `manager`; durable and visible when that commits. Throws OperationError `event-store/event-repeated` for a mix of old and new events. */
export async function appendEvents(manager: EntityManager, request: AppendRequest): Promise<AppendOutcome> {
  assert(manager.queryRunner?.isTransactionActive, 'events are appended inside a transaction');
  assert(request.events.length > 0 && request.events.every((event) => event.tenantid === request.tenantId), 'events of one tenant');
  await lockTenant(manager, request.tenantId);
  const version = await streamVersion(manager, request);
  const known = await countKnown(manager, request.events);
  if (known === request.events.length) return { outcome: 'duplicate', version };
  if (request.expectedVersion !== 'any' && request.expectedVersion !== version) {
    return { outcome: 'conflict', expectedVersion: request.expectedVersion, actualVersion: version };
  }
  if (known > 0) throw repeated(request);
  const rows: { position: string }[] = await manager.query(insert, [
    request.tenantId, request.streamId, version, request.toRelay ?? true, JSON.stringify(request.events.map(newRow)),
  ]);
  await manager.query('select pg_notify($1, $2)', [eventsChannel, request.tenantId]);
  return { outcome: 'appended', version: version + request.events.length, lastPosition: Number(rows.at(-1)?.position) };
}

async function lockTenant(manager: EntityManager, tenantId: string): Promise<void> {
  await manager.query("select pg_advisory_xact_lock(hashtextextended('secondsite.events/' || $1, 0))", [tenantId]);
  await manager.query('insert into event_tenants (tenant_id) values ($1) on conflict do nothing', [tenantId]);
}

async function streamVersion(manager: EntityManager, stream: { readonly tenantId: string; readonly streamId: string }): Promise<number> {
  const [row]: { version: number }[] = await manager.query(
    'select coalesce(max(version), 0)::int as version from events where tenant_id = $1 and stream_id = $2', [stream.tenantId, stream.streamId],
  );
  return row?.version ?? 0;
}

async function countKnown(manager: EntityManager, events: readonly CloudEvent[]): Promise<number> {
  const [row]: { known: number }[] = await manager.query('select count(*)::int as known from events where event_id = any($1)', [events.map((event) => event.id)]);
  return row?.known ?? 0;
}

function repeated({ tenantId, streamId }: AppendRequest): OperationError {
  return new OperationError({
    code: 'event-store/event-repeated', operation: 'append events', context: { tenantId, streamId }, retryable: false,
    hint: 'Some of the events were appended before, others not; append what belongs together at once.',
  });
}
