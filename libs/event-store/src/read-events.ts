// SPDX-License-Identifier: Apache-2.0
import type { EventContext } from '@secondsite/contracts';
import type { EntityManager } from 'typeorm';
import { eventColumns, type EventRow, type RecordedEvent, recordedEvent } from './recorded-event';

export interface StreamAddress {
  readonly tenantId: string;
  readonly streamId: string;
}

/** A stream, oldest event first; version 0 when there is none. `untilVersion` gives its state at an earlier time. */
export async function readStream(
  manager: EntityManager, { tenantId, streamId, untilVersion }: StreamAddress & { readonly untilVersion?: number },
): Promise<{ readonly version: number; readonly events: readonly RecordedEvent[] }> {
  const rows: EventRow[] = await manager.query(
    `select ${eventColumns} from events where tenant_id = $1 and stream_id = $2 and version <= $3 order by version`, [tenantId, streamId, untilVersion ?? 2 ** 31 - 1],
  );
  return { version: rows.at(-1)?.version ?? 0, events: rows.map(recordedEvent) };
}

/** Was an event with this id appended, in any stream? */
export async function hasEvent(manager: EntityManager, eventId: string): Promise<boolean> {
  const rows: unknown[] = await manager.query('select 1 from events where event_id = $1', [eventId]);
  return rows.length > 0;
}

/** Events of a tenant behind a position, in commit order, without gaps that are filled later. */
export async function readAll(
  manager: EntityManager, { tenantId, afterPosition, limit }: { readonly tenantId: string; readonly afterPosition: number; readonly limit: number },
): Promise<RecordedEvent[]> {
  const rows: EventRow[] = await manager.query(
    `select ${eventColumns} from events where tenant_id = $1 and position > $2 order by position limit $3`, [tenantId, afterPosition, limit],
  );
  return rows.map(recordedEvent);
}

export interface EventQuery {
  readonly tenantId: string;
  readonly context?: EventContext | undefined;
  /** Ids of aggregates, as in the events' `subject`. */
  readonly subjects?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly order: 'oldest-first' | 'newest-first';
  readonly limit: number;
}

/** For people: histories and audit. */
export async function queryEvents(manager: EntityManager, query: EventQuery): Promise<RecordedEvent[]> {
  const rows: EventRow[] = await manager.query(
    `select ${eventColumns} from events
     where tenant_id = $1 and ($2::text is null or context = $2) and ($3::text[] is null or subject = any($3)) and ($4::text[] is null or type = any($4))
     order by position ${query.order === 'oldest-first' ? 'asc' : 'desc'} limit $5`,
    [query.tenantId, query.context ?? null, query.subjects ?? null, query.types ?? null, query.limit],
  );
  return rows.map(recordedEvent);
}
