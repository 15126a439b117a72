// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type CloudEvent, type CurrentEvent, eventSubjectFilter, hostAddedV1, streamNames } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, startTestPostgres, type TestNats, type TestPostgres } from '@secondsite/embedded-services/testing';
import type { MessageBus } from '@secondsite/messaging';
import { startTestBus } from '@secondsite/messaging/testing';
import type { DataSource } from 'typeorm';
import { consumeOnce, type EventFeed, EventStore, feedLag, openEventDatabase, relayName, startEventRelay } from './index';

/** As short as nats-server takes it: what an outage of an hour is to the window of ten minutes. */
const duplicateWindowNanosMin = 100_000_000;

let postgres: TestPostgres;
let url: string;
let dataSource: DataSource;
let store: EventStore;
const open: EventFeed[] = [];
const until = (what: string, check: () => boolean | Promise<boolean>): Promise<true> => waitUntil(async () => (await check()) || undefined, { what, timeoutMillis: 20_000 });
const added = (hostId = 'h1'): CurrentEvent => sampleEvent(hostAddedV1, { hostId, name: 'orders' });

beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  url = await postgres.createDatabase();
  dataSource = await openEventDatabase({ url });
  store = new EventStore(dataSource, { tenantId: 'default', ownSource: '/agent/host-1' });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((feed) => feed.close()));
  await dataSource.destroy();
});

function relay(publish: (event: CloudEvent) => Promise<unknown>, pollMillis = 60_000): EventFeed {
  const feed = startEventRelay({ url, publisher: { publishEvent: publish }, pollMillis });
  open.push(feed);
  return feed;
}

async function write(count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const event = added();
    ids.push(event.id);
    await store.transaction((transaction) => transaction.append({ streamId: 's', expectedVersion: 'any', events: [event] }));
  }
  return ids;
}

describe('the relay', () => {
  it('publishes what was there and, woken by the commit, what comes', async () => {
    const published: string[] = [];
    const first = await write(3);
    relay(async (event) => published.push(event.id));
    await until('three events', () => published.length === 3);
    const second = await write(2);
    await until('five events', () => published.length === 5);
    expect(published).toEqual([...first, ...second]);
    expect(await feedLag(dataSource.manager, { name: relayName, events: 'to-relay' })).toEqual({ events: 0, oldestSeconds: 0 });
  });

  it('leaves out events that came from the bus', async () => {
    const published: string[] = [];
    relay(async (event) => published.push(event.id), 50);
    await store.transaction((transaction) => transaction.append({ streamId: 's', expectedVersion: 'any', events: [{ ...added(), source: '/agent/other' }] }));
    const [own] = await write(1);
    await until('the own event', () => published.length === 1);
    expect(published).toEqual([own]);
  });

  it('sends every event at least once and in order, wherever it is stopped or fails', async () => {
    const published: string[] = [];
    let countdown = 3;
    const publish = async (event: CloudEvent): Promise<void> => {
      countdown -= 1;
      if (countdown % 7 === 0) throw new Error('the bus is away');
      published.push(event.id);
      if (countdown % 5 === 0) throw new Error('the answer was lost');
    };
    const written = write(50);
    while (new Set(published).size < 50) {
      const feed = relay(publish, 20);
      const target = Math.min(50, new Set(published).size + 7);
      await until('some events', () => new Set(published).size >= target);
      await feed.close();
    }
    const ids = await written;
    expect(published.filter((id, index) => published.indexOf(id) === index)).toEqual(ids);
    const positions = published.map((id) => ids.indexOf(id));
    expect(positions.every((position, index) => index === 0 || position <= (positions[index - 1] as number) + 1)).toBe(true);
  });

  it('runs in one process at a time, and another takes over', async () => {
    const by: string[] = [];
    const first = relay(async () => by.push('first'));
    await until('the lease', () => first.isLeading);
    const second = relay(async () => by.push('second'));
    await write(5);
    await until('five events', () => by.length === 5);
    expect(second.isLeading).toBe(false);
    await first.close();
    await until('the other to lead', () => second.isLeading);
    await write(1);
    await until('the sixth event', () => by.length === 6);
    expect(by).toEqual(['first', 'first', 'first', 'first', 'first', 'second']);
  });

  it('goes on after its database connection was cut, and after the database was killed and came back', async () => {
    const published = new Set<string>();
    relay(async (event) => published.add(event.id));
    await write(2);
    await until('two events', () => published.size === 2);
    await dataSource.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'secondsite relay' and datname = current_database()");
    await write(2);
    await until('four events', () => published.size === 4);
    await postgres.kill();
    await expect(write(1)).rejects.toMatchObject({ code: 'database/unavailable', retryable: true });
    await postgres.start();
    await until('the store to work again', async () => (await write(1).catch(() => [])).length === 1);
    await until('five events', () => published.size >= 5);
  });
});

describe('relay and JetStream together', () => {
  let nats: TestNats;
  let bus: MessageBus;
  beforeAll(async () => {
    nats = await startTestNats();
    bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs-1' });
  });
  afterAll(async () => {
    await bus.close();
    await nats.stop();
  });

  it('bring each event to a consumer once, through repeated sending and an outage of the bus', async () => {
    const received: string[] = [];
    const stored = new Set<number>();
    const consumer = bus.consume({
      durable: 'relayed', subjects: [eventSubjectFilter({ aggregateId: 'h1' })], ackWaitMillis: 2_000,
      handler: (event, { sequence }) => dataSource.transaction(async (manager) => {
        stored.add(sequence);
        await consumeOnce(manager, { consumer: 'relayed', eventId: event.id }, async () => void received.push(event.id));
      }),
    });
    const feed = relay((event) => bus.publishEvent(event), 50);
    const first = await write(10);
    await until('ten events', () => received.length === 10);
    await feed.close();
    await dataSource.query('delete from event_checkpoints');
    relay((event) => bus.publishEvent(event), 50);
    await nats.kill();
    const second = await write(10);
    await nats.start();
    await until('twenty events', () => received.length >= 20);
    await until('nothing to wait', async () => (await feedLag(dataSource.manager, { name: relayName, events: 'to-relay' })).events === 0);
    expect(received).toEqual([...first, ...second]);
    expect(stored.size).toBe(20);
    await consumer.close();
  });

  it('apply an event once that the bus has twice, because the outage was longer than the bus remembers what it has', async () => {
    const manager = await bus.link.connection().jetstreamManager();
    const { config } = await manager.streams.info(streamNames.events);
    await manager.streams.update(streamNames.events, { ...config, duplicate_window: duplicateWindowNanosMin });
    const received: string[] = [];
    const stored: number[] = [];
    const consumer = bus.consume({
      durable: 'longer', subjects: [eventSubjectFilter({ aggregateId: 'h2' })],
      handler: (event, { sequence }) => dataSource.transaction(async (transaction) => {
        stored.push(sequence);
        await consumeOnce(transaction, { consumer: 'longer', eventId: event.id }, async () => void received.push(event.id));
      }),
    });
    const events = [added('h2'), added('h2')];
    await store.transaction((transaction) => transaction.append({ streamId: 's', expectedVersion: 'any', events }));
    let answersLost = true;
    relay(async (event) => {
      await bus.publishEvent(event);
      if (answersLost) throw new Error('the answer was lost');
    }, 20);
    await until('the first of them to be stored twice', () => stored.length > 1);
    answersLost = false;
    await until('both', () => received.length >= 2);
    await until('nothing to wait', async () => (await feedLag(dataSource.manager, { name: relayName, events: 'to-relay' })).events === 0);
    await consumer.close();
    expect(received).toEqual(events.map(({ id }) => id));
    await manager.streams.update(streamNames.events, config);
  });
});
