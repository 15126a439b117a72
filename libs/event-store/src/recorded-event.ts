// SPDX-License-Identifier: Apache-2.0
import { type CloudEvent, type CurrentEvent, readEvent } from '@secondsite/contracts';

/** An event with its place in the store. */
export interface RecordedEvent {
  /** Grows in commit order inside a tenant; other tenants' events leave gaps. */
  readonly position: number;
  readonly streamId: string;
  /** 1, 2, 3 … inside the stream. */
  readonly version: number;
  /** In the newest version of its fact, whatever version was stored. */
  readonly event: CurrentEvent;
}

export interface EventRow {
  readonly position: string;
  readonly stream_id: string;
  readonly version: number;
  readonly type: string;
  readonly subject: string;
  readonly tenant_id: string;
  readonly event_id: string;
  readonly data: Record<string, unknown>;
  readonly metadata: Record<string, unknown>;
}

export const eventColumns = 'position, stream_id, version, type, subject, tenant_id, event_id, data, metadata';

/** The envelope as it was published; a stored event is never rewritten. */
export function storedEvent(row: EventRow): CloudEvent {
  return { ...row.metadata, id: row.event_id, type: row.type, subject: row.subject, tenantid: row.tenant_id, data: row.data } as unknown as CloudEvent;
}

export function recordedEvent(row: EventRow): RecordedEvent {
  return { position: Number(row.position), streamId: row.stream_id, version: row.version, event: readEvent(storedEvent(row)) };
}

/** Columns of a new row, as JSON for `jsonb_to_recordset`. */
export function newRow(event: CloudEvent): Record<string, unknown> {
  const { id, type, subject, data, time } = event;
  const columns: readonly string[] = ['id', 'type', 'subject', 'tenantid', 'data'];
  const metadata = Object.fromEntries(Object.entries(event).filter(([name]) => !columns.includes(name)));
  return { event_id: id, type, context: type.split('.')[1], subject, occurred_at: time, data, metadata };
}
