// SPDX-License-Identifier: Apache-2.0
import type { EntityManager } from 'typeorm';

/**
 * Makes a handler of bus events idempotent: runs the work unless this consumer has done it for this event before, and records that in the same
 * transaction. Returns whether it ran. A second delivery that comes at the same moment waits for the first.
 */
export async function consumeOnce(
  manager: EntityManager, delivery: { readonly consumer: string; readonly eventId: string }, work: () => Promise<void>,
): Promise<boolean> {
  const rows: unknown[] = await manager.query(
    'insert into consumed_events (consumer, event_id) values ($1, $2) on conflict do nothing returning 1', [delivery.consumer, delivery.eventId],
  );
  if (rows.length === 0) return false;
  await work();
  return true;
}

/** Forgets deliveries older than the bus keeps its events. Returns how many. */
export async function forgetConsumed(manager: EntityManager, olderThanDays: number): Promise<number> {
  const rows: { n: number }[] = await manager.query(
    'with gone as (delete from consumed_events where consumed_at < now() - make_interval(days => $1) returning 1) select count(*)::int as n from gone', [olderThanDays],
  );
  return rows[0]?.n ?? 0;
}
