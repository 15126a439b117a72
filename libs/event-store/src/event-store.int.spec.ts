// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { changeSetAppliedV1, type CurrentEvent, hostAddedV1, hostRemovedV1 } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestPostgres, type TestPostgres } from '@secondsite/embedded-services/testing';
import type { DataSource } from 'typeorm';
import {
  appendEvents, consumeOnce, EventStore, hashTables, openEventDatabase, type Projection, readAll, rebuildProjections, startCatchUpProjection,
} from './index';
import { createHostsTable, hostsProjection } from './testing';

let postgres: TestPostgres;
let url: string;
let dataSource: DataSource;
let store: EventStore;
const tenantId = 'default';
const added = (hostId: string, name = 'orders'): CurrentEvent => sampleEvent(hostAddedV1, { hostId, name });
const removed = (hostId: string): CurrentEvent => sampleEvent(hostRemovedV1, { hostId });

beforeAll(async () => {
  postgres = await startTestPostgres();
});
beforeEach(async () => {
  url = await postgres.createDatabase();
  dataSource = await openEventDatabase({ url });
  await dataSource.query(createHostsTable);
  store = new EventStore(dataSource, { tenantId, projections: [hostsProjection] });
});
afterEach(() => dataSource.destroy());
afterAll(() => postgres.stop());

const append = (streamId: string, expectedVersion: number | 'any', ...events: CurrentEvent[]) =>
  store.transaction((transaction) => transaction.tryAppend({ streamId, expectedVersion, events }));

describe('appending', () => {
  it('gives versions without gaps and gives back what was stored', async () => {
    const events = [added('h1'), removed('h1'), added('h1', 'Bücher “neu”')];
    expect(await append('s', 0, events[0] as CurrentEvent)).toMatchObject({ outcome: 'appended', version: 1 });
    expect(await append('s', 1, ...events.slice(1))).toMatchObject({ outcome: 'appended', version: 3 });
    expect(await store.read('s')).toEqual({ version: 3, events });
    expect(await store.read('nothing')).toEqual({ version: 0, events: [] });
  });

  it('says when the stream has moved on, writes nothing then, and lets the transaction go on', async () => {
    await append('s', 0, added('h1'));
    const outcome = await store.transaction(async (transaction) => {
      const first = await transaction.tryAppend({ streamId: 's', expectedVersion: 0, events: [added('h2')] });
      await transaction.append({ streamId: 'other', expectedVersion: 0, events: [added('h3')] });
      return first;
    });
    expect(outcome).toEqual({ outcome: 'conflict', expectedVersion: 0, actualVersion: 1 });
    expect((await store.read('other')).version).toBe(1);
    await expect(store.transaction((transaction) => transaction.append({ streamId: 's', expectedVersion: 0, events: [added('h2')] }))).rejects.toMatchObject({
      code: 'event-store/conflict', retryable: true,
    });
  });

  it('takes an event once: a repetition changes nothing, also in the read model', async () => {
    const event = added('h1');
    await append('s', 'any', event);
    expect(await append('s', 'any', event)).toEqual({ outcome: 'duplicate', version: 1 });
    expect(await dataSource.query('select changes from hosts')).toEqual([{ changes: 1 }]);
    await expect(append('s', 'any', event, added('h2'))).rejects.toMatchObject({ code: 'event-store/event-repeated' });
  });

  it('commits events and read models together or not at all', async () => {
    const work = store.transaction(async (transaction) => {
      await transaction.append({ streamId: 's', expectedVersion: 0, events: [added('h1')] });
      throw new Error('changed my mind');
    });
    await expect(work).rejects.toThrow('changed my mind');
    expect((await store.read('s')).version).toBe(0);
    expect(await dataSource.query('select * from hosts')).toEqual([]);
  });

  it('reads old versions of a fact in the newest version', async () => {
    const old = sampleEvent(changeSetAppliedV1, { pairId: '5b1c7a52-3a52-4a2e-9a41-0d4b6f0e9c11', sequence: 7, rpoSeconds: 1 });
    await dataSource.transaction((manager) => appendEvents(manager, { tenantId, streamId: 's', expectedVersion: 0, events: [old] }));
    expect((await store.read('s')).events[0]).toMatchObject({ type: 'secondsite.replication.change-set-applied.v2', data: { epoch: 0, sequence: 7 } });
  });

  it('never changes or removes an event', async () => {
    await append('s', 0, added('h1'));
    await expect(dataSource.query("update events set type = 'x'")).rejects.toThrow('events never change');
    await expect(dataSource.query('delete from events')).rejects.toThrow('events never change');
  });
});

describe('concurrent appends', () => {
  it('to one stream with the same expected version: one wins, all others see the conflict', async () => {
    const outcomes = await Promise.all(Array.from({ length: 8 }, (_, index) => append('s', 0, added(`h${index}`))));
    expect(outcomes.filter((outcome) => outcome.outcome === 'appended')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.outcome === 'conflict')).toHaveLength(7);
    expect(await dataSource.query('select count(*)::int as n from hosts')).toEqual([{ n: 1 }]);
  });

  it('never show a reader a position before a smaller one of the same tenant', async () => {
    const seen: number[] = [];
    let writing = true;
    const reader = (async () => {
      while (writing) {
        const batch = await readAll(dataSource.manager, { tenantId, afterPosition: seen.at(-1) ?? 0, limit: 1_000 });
        seen.push(...batch.map((event) => event.position));
      }
    })();
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let n = 0; n < 40; n += 1) {
        await store.transaction(async (transaction) => {
          if (n % 3 === 0) await transaction.manager.query('select pg_sleep(0.002)');
          await transaction.append({ streamId: `s${writer}`, expectedVersion: 'any', events: [added(`h${writer}`)] });
          if (n % 5 === 0) await transaction.manager.query('select pg_sleep(0.003)');
        });
      }
    });
    await Promise.all(writers);
    writing = false;
    await reader;
    const all = await readAll(dataSource.manager, { tenantId, afterPosition: seen.at(-1) ?? 0, limit: 1_000 });
    expect(seen.length + all.length).toBe(240);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });

  it('of different tenants do not wait for each other', async () => {
    const other = new EventStore(dataSource, { tenantId: 'other' });
    await store.transaction(async (transaction) => {
      await transaction.append({ streamId: 's', expectedVersion: 0, events: [added('h1')] });
      await other.transaction((second) => second.append({ streamId: 's', expectedVersion: 0, events: [{ ...added('h1'), tenantid: 'other' }] }));
    });
    expect((await other.read('s')).version).toBe(1);
    expect((await store.read('s')).version).toBe(1);
  });
});

describe('read models', () => {
  const history = async (): Promise<void> => {
    for (let n = 0; n < 60; n += 1) await append(`host-${n % 7}`, 'any', n % 4 === 3 ? removed(`h${n % 7}`) : added(`h${n % 7}`, `name ${n}`));
  };

  it('are the same when they are built again from the first event', async () => {
    await history();
    const rows = await dataSource.query('select * from hosts order by host_id');
    const report = await rebuildProjections(dataSource, [hostsProjection]);
    expect(report).toMatchObject({ eventCount: 60, projections: [{ name: 'hosts', identical: true }] });
    expect(await dataSource.query('select * from hosts order by host_id')).toEqual(rows);
  });

  it('are mended by it, and it says that they were not what the events say', async () => {
    await history();
    const hash = await hashTables(dataSource.manager, ['hosts']);
    await dataSource.query("update hosts set name = 'forged' where host_id = 'h0'");
    const report = await rebuildProjections(dataSource, [hostsProjection]);
    expect(report.projections[0]).toMatchObject({ identical: false, hashAfter: hash });
  });

  it('stay as they are when building fails', async () => {
    await history();
    const before = await hashTables(dataSource.manager, ['hosts']);
    const broken: Projection = { ...hostsProjection, apply: async () => Promise.reject(new Error('broken')) };
    await expect(rebuildProjections(dataSource, [broken])).rejects.toThrow('broken');
    expect(await hashTables(dataSource.manager, ['hosts'])).toBe(before);
  });

  it('that follow by themselves apply each event once, over restarts and a rebuild', async () => {
    const plain = new EventStore(dataSource, { tenantId });
    const write = (hostId: string) => plain.transaction((transaction) => transaction.append({ streamId: hostId, expectedVersion: 'any', events: [added(hostId)] }));
    const changes = async (): Promise<number> => (await dataSource.query<{ n: number }[]>('select coalesce(sum(changes), 0)::int as n from hosts'))[0]?.n ?? 0;
    for (let n = 0; n < 10; n += 1) await write(`h${n % 3}`);
    const first = startCatchUpProjection({ url, dataSource, projection: hostsProjection, pollMillis: 50 });
    await waitUntil(async () => (await changes()) === 10, { what: 'ten changes', timeoutMillis: 10_000 });
    await first.close();
    await dataSource.query("delete from event_checkpoints where name = 'projection/hosts'");
    await write('h1');
    const second = startCatchUpProjection({ url, dataSource, projection: hostsProjection, pollMillis: 50 });
    await waitUntil(async () => (await changes()) === 11, { what: 'eleven changes', timeoutMillis: 10_000 });
    const report = await rebuildProjections(dataSource, [hostsProjection]);
    expect(report.projections[0]?.identical).toBe(true);
    await write('h2');
    await waitUntil(async () => (await changes()) === 12, { what: 'twelve changes', timeoutMillis: 10_000 });
    await second.close();
  });
});

describe('consuming from the bus', () => {
  it('runs the work once per event and consumer, also when two deliveries come at once', async () => {
    let runs = 0;
    const consume = (consumer: string) => dataSource.transaction((manager) => consumeOnce(manager, { consumer, eventId: 'e1' }, async () => void (runs += 1)));
    expect(await Promise.all([consume('a'), consume('a'), consume('b')])).toEqual(expect.arrayContaining([true, false, true]));
    expect(runs).toBe(2);
  });

  it('is tried again when the work failed', async () => {
    const consume = (work: () => Promise<void>) => dataSource.transaction((manager) => consumeOnce(manager, { consumer: 'a', eventId: 'e2' }, work));
    await expect(consume(async () => Promise.reject(new Error('not yet')))).rejects.toThrow('not yet');
    expect(await consume(async () => undefined)).toBe(true);
  });
});

describe('opening the database', () => {
  it('by several processes at once makes the tables once', async () => {
    const fresh = await postgres.createDatabase();
    const opened = await Promise.all([1, 2, 3].map(() => openEventDatabase({ url: fresh, poolSize: 2 })));
    expect(await opened[0]?.query('select count(*)::int as n from migrations')).toEqual([{ n: 1 }]);
    await Promise.all(opened.map((source) => source.destroy()));
  });

  it('waits for a database that is away, and tells it apart from a wrong password', async () => {
    await expect(openEventDatabase({ url: url.replace(/:[^:@]+@/, ':wrong@') })).rejects.toThrow(/password/);
    const signal = AbortSignal.timeout(300);
    await expect(openEventDatabase({ url: 'postgres://a:b@127.0.0.1:1/x', signal })).rejects.toMatchObject({ code: 'database/unavailable' });
  });
});
