// SPDX-License-Identifier: Apache-2.0
import type { EntityManager } from 'typeorm';
import type { FeedLag } from './event-feed';

/** How far a feed is behind; for metrics. */
export async function feedLag(manager: EntityManager, feed: { readonly name: string; readonly events: 'to-relay' | 'all' }): Promise<FeedLag> {
  const [row]: { events: number; seconds: number | null }[] = await manager.query(
    `select count(*)::int as events, extract(epoch from now() - min(e.occurred_at))::float8 as seconds
     from events e left join event_checkpoints c on c.name = $1 and c.tenant_id = e.tenant_id
     where e.position > coalesce(c.position, 0) ${feed.events === 'to-relay' ? 'and e.to_relay' : ''}`,
    [feed.name],
  );
  return { events: row?.events ?? 0, oldestSeconds: Math.max(0, row?.seconds ?? 0) };
}
