// SPDX-License-Identifier: Apache-2.0
import type { DataSource, EntityManager } from 'typeorm';
import { catchUpName, type Projection } from './projection';
import { eventColumns, type EventRow, recordedEvent } from './recorded-event';

export interface RebuiltProjection {
  readonly name: string;
  readonly hashBefore: string;
  readonly hashAfter: string;
  /** The read model was exactly what the events say. */
  readonly identical: boolean;
}

export interface RebuildReport {
  readonly eventCount: number;
  readonly projections: readonly RebuiltProjection[];
}

const batchSize = 1_000;

/**
 * Empties the read models and builds them from the first event on, all tenants, in one transaction: readers see the old ones until it commits,
 * appends wait, and a failure changes nothing.
 */
export function rebuildProjections(dataSource: DataSource, projections: readonly Projection[]): Promise<RebuildReport> {
  return dataSource.transaction(async (manager) => {
    await manager.query('lock table events in share row exclusive mode');
    const before = await hashEach(manager, projections);
    for (const table of projections.flatMap((projection) => projection.tables)) await manager.query(`delete from ${quoted(table)}`);
    const eventCount = await replay(manager, projections);
    await catchUp(manager, projections);
    const after = await hashEach(manager, projections);
    return {
      eventCount,
      projections: projections.map(({ name }, index) => {
        const hashBefore = before[index] as string;
        const hashAfter = after[index] as string;
        return { name, hashBefore, hashAfter, identical: hashBefore === hashAfter };
      }),
    };
  });
}

async function replay(manager: EntityManager, projections: readonly Projection[]): Promise<number> {
  let eventCount = 0;
  for (let position = '0'; ; ) {
    const rows: EventRow[] = await manager.query(`select ${eventColumns} from events where position > $1 order by position limit $2`, [position, batchSize]);
    for (const row of rows) for (const projection of projections) await projection.apply(recordedEvent(row).event, manager);
    eventCount += rows.length;
    const last = rows.at(-1);
    if (!last || rows.length < batchSize) return eventCount;
    position = last.position;
  }
}

/** Read models that follow by themselves have now seen everything. */
async function catchUp(manager: EntityManager, projections: readonly Projection[]): Promise<void> {
  const names = projections.map(({ name }) => catchUpName(name));
  const following: { name: string }[] = await manager.query('select distinct name from event_checkpoints where name = any($1)', [names]);
  for (const { name } of following) {
    await manager.query('insert into consumed_events (consumer, event_id) select $1, event_id from events on conflict do nothing', [name]);
  }
}

async function hashEach(manager: EntityManager, projections: readonly Projection[]): Promise<string[]> {
  const hashes: string[] = [];
  for (const projection of projections) hashes.push(await hashTables(manager, projection.tables));
  return hashes;
}

/** SHA-256 over all rows of the tables, whatever their order and whatever the order of their columns. */
export async function hashTables(manager: EntityManager, tables: readonly string[]): Promise<string> {
  const parts = tables.map((table, index) => `select ${index}::text || ' ' || to_jsonb(t)::text as line from ${quoted(table)} t`);
  const [row]: { hash: string }[] = await manager.query(
    `select encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' order by line collate "C"), ''), 'UTF8')), 'hex') as hash from (${parts.join(' union all ')}) lines`,
  );
  return row?.hash ?? '';
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
