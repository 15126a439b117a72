// SPDX-License-Identifier: Apache-2.0
/**
 * Hands every event to somebody, in commit order of its tenant, at least once, across crashes of everything. Only one process does so at a time:
 * the lease is a lock of the database session that also reads and writes the checkpoints, so whoever lost the session cannot move them.
 */
import type { CloudEvent } from '@secondsite/contracts';
import { Client, type ClientConfig } from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { eventsChannel } from './append-events';
import { eventColumns, type EventRow, storedEvent } from './recorded-event';
import { silentLog, type StoreLog } from './store-log';

export interface EventFeedOptions {
  /** Names lease and checkpoints. */
  readonly name: string;
  readonly url: string;
  /** Resolves when the event is dealt with for good; throws to get it again. Idempotent. The event is as it was stored. */
  readonly deliver: (event: CloudEvent) => Promise<void>;
  /** `to-relay`: without events that came from the bus. */
  readonly events: 'to-relay' | 'all';
  /** Notifications may be lost; so it looks by itself, default every second. */
  readonly pollMillis?: number;
  readonly batchSize?: number;
  readonly log?: StoreLog;
}

export interface FeedLag {
  /** Events that wait. */
  readonly events: number;
  /** Age of the oldest of them; 0 when there is none. */
  readonly oldestSeconds: number;
}

const pauseMillisMin = 100;
const pauseMillisMax = 5_000;

export class EventFeed {
  private readonly stop = new AbortController();
  private readonly log: StoreLog;
  private readonly running: Promise<void>;
  private wake: () => void = () => undefined;
  private dirty = true;
  private leading = false;
  private pauseMillis = pauseMillisMin;

  constructor(private readonly options: EventFeedOptions) {
    this.log = options.log ?? silentLog;
    this.running = this.run();
  }

  /** Does this process hold the lease? */
  get isLeading(): boolean {
    return this.leading;
  }

  /** Finishes the event in hand. Idempotent. */
  async close(): Promise<void> {
    this.stop.abort();
    this.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        await this.runSession();
      } catch (error) {
        this.log.warn({ err: error, feed: this.options.name }, 'event feed interrupted; trying again');
      }
      await delay(this.pauseMillis, undefined, { signal: this.stop.signal }).catch(() => undefined);
      this.pauseMillis = Math.min(pauseMillisMax, this.pauseMillis * 2);
    }
  }

  /** Returns when closed, or at once when another process holds the lease. Throws when the connection or a delivery fails. */
  private async runSession(): Promise<void> {
    const config: ClientConfig = { connectionString: this.options.url, application_name: `secondsite ${this.options.name}`, connectionTimeoutMillis: 5_000, keepAlive: true };
    const client = new Client(config);
    let broken: Error | undefined;
    client.on('error', (error) => {
      broken = error;
      this.wake();
    });
    client.on('notification', () => {
      this.dirty = true;
      this.wake();
    });
    await client.connect();
    try {
      this.leading = await this.acquireLease(client);
      if (!this.leading) return;
      await client.query(`listen ${eventsChannel}`);
      await this.pump(client, () => broken);
    } finally {
      this.leading = false;
      await client.end().catch(() => undefined);
    }
  }

  private async acquireLease(client: Client): Promise<boolean> {
    const { rows } = await client.query<{ held: boolean }>("select pg_try_advisory_lock(hashtextextended('secondsite.feed/' || $1, 0)) as held", [this.options.name]);
    return rows[0]?.held === true;
  }

  private async pump(client: Client, broken: () => Error | undefined): Promise<void> {
    while (!this.stop.signal.aborted) {
      const failure = broken();
      if (failure) throw failure;
      this.dirty = false;
      const rows = await this.readBatch(client);
      if (rows.length > 0) await this.deliverBatch(client, rows);
      else if (!this.dirty) await this.waitForMore();
    }
  }

  private async readBatch(client: Client): Promise<EventRow[]> {
    const { rows } = await client.query<EventRow>(
      `select ${eventColumns.split(', ').map((column) => `e.${column}`).join(', ')}
       from event_tenants t left join event_checkpoints c on c.name = $1 and c.tenant_id = t.tenant_id
       cross join lateral (
         select * from events e where e.tenant_id = t.tenant_id and e.position > coalesce(c.position, 0) ${this.restriction()} order by e.position limit $2
       ) e order by e.position limit $2`,
      [this.options.name, this.options.batchSize ?? 256],
    );
    return rows;
  }

  private restriction(): string {
    return this.options.events === 'to-relay' ? 'and e.to_relay' : '';
  }

  /** What was delivered before a failure is not delivered again. */
  private async deliverBatch(client: Client, rows: readonly EventRow[]): Promise<void> {
    const done = new Map<string, string>();
    try {
      for (const row of rows) {
        if (this.stop.signal.aborted) return;
        await this.options.deliver(storedEvent(row));
        done.set(row.tenant_id, row.position);
      }
    } finally {
      await this.saveCheckpoints(client, done);
    }
  }

  private async saveCheckpoints(client: Client, done: ReadonlyMap<string, string>): Promise<void> {
    if (done.size === 0) return;
    this.pauseMillis = pauseMillisMin;
    await client.query(
      `insert into event_checkpoints (name, tenant_id, position) select $1, * from unnest($2::text[], $3::bigint[])
       on conflict (name, tenant_id) do update set position = excluded.position, updated_at = now()`,
      [this.options.name, [...done.keys()], [...done.values()]],
    );
  }

  private waitForMore(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.options.pollMillis ?? 1_000);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.stop.signal.aborted) this.wake();
    });
  }
}
