// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type AgentDesiredState, type CloudEvent, closeViewOperation, eventSubjectFilter, hostAddedV1, hostRemovedV1, listViewsOperation, type Telemetry,
} from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, type TestNats, temporaryFolder } from '@secondsite/embedded-services/testing';
import { isOperationError, OperationError } from '@secondsite/units';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MessageBus } from './message-bus';
import { startTestBus } from './testing';

let nats: TestNats;
let bus: MessageBus;
const folder = temporaryFolder('bus');
const until = (what: string, check: () => boolean, timeoutMillis = 20_000): Promise<true> => waitUntil(() => check() || undefined, { what, timeoutMillis });
const added = (hostId: string): CloudEvent => sampleEvent(hostAddedV1, { hostId, name: 'orders' });

beforeAll(async () => {
  nats = await startTestNats();
  bus = await startTestBus(nats.url, {}, { pendingEventsFile: join(folder, 'pending.jsonl') });
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('events', () => {
  it('are stored once, however often they are published', async () => {
    const event = added('once');
    expect((await bus.publishEvent(event)).duplicate).toBe(false);
    expect((await bus.publishEvent(event)).duplicate).toBe(true);
  });

  it('reach a durable consumer in order, also those published before it existed and while it was away', async () => {
    const seen: string[] = [];
    const options = { durable: 'in-order', subjects: ['ss.default.inventory.order-1.*.*'], handler: async (event: { id: string }) => void seen.push(event.id) };
    const events = Array.from({ length: 60 }, () => added('order-1'));
    for (const event of events.slice(0, 20)) await bus.publishEvent(event);
    const first = bus.consume(options);
    for (const event of events.slice(20, 40)) await bus.publishEvent(event);
    await until('the first 40', () => seen.length === 40);
    await first.close();
    for (const event of events.slice(40)) await bus.publishEvent(event);
    const second = bus.consume(options);
    await until('the rest', () => seen.length === 60);
    await second.close();
    expect(seen).toEqual(events.map((event) => event.id));
  });

  it('that fail are tried again with a growing pause, while others go on', async () => {
    const attempts: number[] = [];
    const times: number[] = [];
    const others: string[] = [];
    const consumer = bus.consume({
      durable: 'retry', subjects: ['ss.default.inventory.retry-1.*.*', 'ss.default.inventory.retry-2.*.*'], backOffMillis: 50,
      handler: async (event, delivery) => {
        if (event.subject === 'retry-2') return void others.push(event.id);
        attempts.push(delivery.attempt);
        times.push(performance.now());
        if (delivery.attempt < 3) throw new Error('not yet');
      },
    });
    await bus.publishEvent(added('retry-1'));
    await bus.publishEvent(added('retry-2'));
    await until('the third attempt', () => attempts.length === 3);
    expect(attempts).toEqual([1, 2, 3]);
    expect(others).toHaveLength(1);
    expect((times[2] as number) - (times[1] as number)).toBeGreaterThan((times[1] as number) - (times[0] as number));
    await consumer.close();
    expect(await bus.deadLetters('retry')).toEqual([]);
  });

  it('that cannot be handled go to the dead letters with the reason and block nobody', async () => {
    const handled: string[] = [];
    const poison = added('poison-1');
    const consumer = bus.consume({
      durable: 'poisoned', subjects: [eventSubjectFilter({ context: 'inventory', aggregateId: 'poison-1' })], attemptsMax: 2, backOffMillis: 10,
      handler: async (event) => {
        if (event.id === poison.id) throw new Error('cannot digest\nthis');
        handled.push(event.id);
      },
    });
    await bus.publishEvent(poison);
    await bus.link.connection().jetstream().publish('ss.default.inventory.poison-1.host-added.v1', 'no json at all');
    const good = added('poison-1');
    await bus.publishEvent(good);
    const letters = await waitUntil(async () => {
      const found = await bus.deadLetters('poisoned');
      return found.length === 2 ? found : undefined;
    }, { what: 'two dead letters', timeoutMillis: 20_000 });
    expect(handled).toEqual([good.id]);
    const byAttempts = [...letters].sort((a, b) => b.attempts - a.attempts);
    expect(byAttempts[0]).toMatchObject({ reason: 'cannot digest this', attempts: 2, subject: 'ss.default.inventory.poison-1.host-added.v1' });
    expect(JSON.parse(byAttempts[0]?.body ?? '')).toEqual(poison);
    expect(byAttempts[1]).toMatchObject({ attempts: 1, body: 'no json at all' });
    await consumer.close();
  });

  it('wait in order, for as long as it takes, while what their handler needs is away, also over an end of the consumer; none is buried', async () => {
    const database = { isAway: true, failures: 0 };
    const handled: string[] = [];
    const options = {
      durable: 'database-away', subjects: [eventSubjectFilter({ context: 'inventory', aggregateId: 'patient-1' })], attemptsMax: 2, backOffMillis: 1, ackWaitMillis: 1_000,
      isOutage: (error: unknown) => isOperationError(error, 'database/unavailable'),
      handler: async (event: CloudEvent) => {
        if (database.isAway) {
          database.failures += 1;
          throw new OperationError({ code: 'database/unavailable', operation: 'record', retryable: true, hint: 'Wait.' });
        }
        handled.push(event.id);
      },
    };
    const events = Array.from({ length: 20 }, () => added('patient-1'));
    for (const event of events) await bus.publishEvent(event);
    const first = bus.consume(options);
    await until('many more tries than an event has', () => database.failures > 7);
    await first.close();
    const second = bus.consume(options);
    await until('more tries', () => database.failures > 14);
    database.isAway = false;
    await until('all of them', () => handled.length >= events.length);
    await second.close();
    expect(handled).toEqual(events.map(({ id }) => id));
    expect(await bus.deadLetters('database-away')).toEqual([]);
  });

  it('are neither lost nor applied twice when nats-server is killed and comes back', async () => {
    const events = Array.from({ length: 40 }, () => sampleEvent(hostRemovedV1, { hostId: 'outage-1' }) as CloudEvent);
    const applied: string[] = [];
    const deliveries: string[] = [];
    const consumer = bus.consume({
      durable: 'outage', subjects: ['ss.default.inventory.outage-1.host-removed.*'], ackWaitMillis: 2_000,
      handler: async (event) => {
        deliveries.push(event.id);
        if (!applied.includes(event.id)) applied.push(event.id);
      },
    });
    for (const event of events.slice(0, 10)) await bus.publishEvent(event);
    await until('the first ten', () => applied.length === 10);
    await nats.kill();
    await until('the bus to notice', () => !bus.isConnected);
    await expect(bus.publishEvent(events[10] as CloudEvent)).rejects.toMatchObject({ code: 'bus/not-connected', retryable: true });
    for (const event of events.slice(10)) await bus.publishEventEventually(event);
    await nats.start();
    await until('the rest', () => applied.length === 40);
    expect(applied).toEqual(events.map((event) => event.id));
    await consumer.close();
  });
});

describe('a bus that starts while nats-server is away', () => {
  it('keeps events over its own restart, and everything begins to work when the server comes', async () => {
    const away = await startTestNats();
    const first = await startTestBus(away.url, { componentId: 'host-9' });
    await first.close();
    await away.kill();
    const options = { servers: [away.url], identity: { tenantId: 'default', role: 'agent', componentId: 'host-9' }, pendingEventsFile: join(folder, 'away.jsonl') } as const;
    const early = await MessageBus.start(options);
    expect(early.isConnected).toBe(false);
    const event = added('away-1');
    await early.publishEventEventually(event);
    await early.close();

    const late = await MessageBus.start(options);
    const seen: string[] = [];
    late.consume({ durable: 'away', subjects: ['ss.default.inventory.away-1.*.*'], handler: async ({ id }) => void seen.push(id) });
    await expect(late.whenConnected(50)).rejects.toMatchObject({ code: 'bus/not-connected' });
    await away.start();
    await until('the event', () => seen.length === 1);
    expect(seen).toEqual([event.id]);
    await late.close();
    await away.stop();
  });
});

describe('desired state', () => {
  const address = { role: 'agent', componentId: 'host-1' } as const;
  const document = (name: string) => ({ volumes: [{ volumeId: 'v1', name, tap: { kind: 'nbd' as const, source: '/dev/null' } }], consistencyGroups: [] });

  it('is put only when it differs, with a growing revision', async () => {
    const own = { role: 'agent', componentId: 'revisions' } as const;
    expect(await bus.getDesiredState(own)).toBeUndefined();
    expect(await bus.putDesiredState(own, document('a'))).toEqual({ revision: 1, changed: true });
    expect(await bus.putDesiredState(own, document('a'))).toEqual({ revision: 1, changed: false });
    expect(await bus.putDesiredState(own, document('b'))).toEqual({ revision: 2, changed: true });
    await expect(bus.putDesiredState(own, { volumes: [{ volumeId: 'no good id' }] } as never)).rejects.toThrow();
  });

  it('reaches its watcher: what is there, each change, after a failed attempt, and after an outage', async () => {
    await bus.putDesiredState(address, document('first'));
    const seen: string[] = [];
    let failures = 1;
    const watcher = bus.watchDesiredState(address, async (state: AgentDesiredState) => {
      seen.push(state.volumes[0]?.name ?? '');
      if (state.volumes[0]?.name === 'second' && failures-- > 0) throw new Error('try again');
    });
    await until('the first', () => seen.includes('first'));
    await bus.putDesiredState(address, document('second'));
    await until('the second, twice', () => seen.filter((name) => name === 'second').length === 2);
    await nats.kill();
    await until('the bus to notice', () => !bus.isConnected);
    await nats.start();
    await bus.whenConnected(20_000);
    await bus.putDesiredState(address, document('third'));
    await until('the third', () => seen.includes('third'));
    expect(seen).toEqual(['first', 'second', 'second', 'third']);
    await watcher.close();
  });
});

describe('telemetry', () => {
  it('is heard live, also after an outage; what breaks its schema or its subject is left out', async () => {
    const heard: Telemetry[] = [];
    const subscription = bus.subscribeTelemetry({ tenantId: 'default' }, (telemetry) => heard.push(telemetry));
    const telemetry = (at: string): Telemetry => ({ role: 'agent', componentId: 'host-1', tenantId: 'default', at, volumes: [] });
    bus.link.connection().publish('sst.default.agent.host-1', 'nonsense');
    bus.link.connection().publish('sst.default.agent.host-2', JSON.stringify(telemetry('2026-11-21T22:50:32Z')));
    expect(bus.publishTelemetry(telemetry('2026-11-21T22:50:33Z'))).toBe(true);
    await until('telemetry', () => heard.length === 1);
    await nats.kill();
    await until('the bus to notice', () => !bus.isConnected);
    expect(bus.publishTelemetry(telemetry('2026-11-21T22:50:34Z'))).toBe(false);
    await nats.start();
    await until('telemetry again', () => bus.publishTelemetry(telemetry('2026-11-21T22:50:35Z')) && heard.length > 1);
    expect(heard.map((entry) => entry.at)).not.toContain('2026-11-21T22:50:32Z');
    await subscription.close();
  });
});

describe('requests', () => {
  it('are answered by the component they name', async () => {
    const target = await startTestBus(nats.url, { role: 'master-target', componentId: 'mt-1' });
    target.serve(closeViewOperation, async ({ viewId }) => ({ closed: viewId === 'view-1' }));
    await waitUntil(() => bus.request(closeViewOperation, { componentId: 'mt-1' }, { viewId: 'view-1' }).catch(() => undefined), { what: 'the server', timeoutMillis: 5_000 });
    expect(await bus.request(closeViewOperation, { componentId: 'mt-1' }, { viewId: 'view-2' })).toEqual({ closed: false });
    await target.close();
  });

  it('tell who threw what, and hide what was not meant for others', async () => {
    const target = await startTestBus(nats.url, { role: 'master-target', componentId: 'mt-2' });
    target.serve(closeViewOperation, async () => {
      throw new OperationError({ code: 'view/busy', operation: 'close view', context: { viewId: 'v' }, retryable: true, hint: 'Disconnect the client first.' });
    });
    target.serve(listViewsOperation, async () => {
      throw new Error('password is hunter2');
    });
    await target.link.connection().flush();
    await expect(bus.request(closeViewOperation, { componentId: 'mt-2' }, { viewId: 'v' })).rejects.toMatchObject({
      code: 'view/busy', retryable: true, hint: 'Disconnect the client first.', context: { viewId: 'v' },
    });
    const hidden = await bus.request(listViewsOperation, { componentId: 'mt-2' }, {}).catch((error: unknown) => error);
    expect(hidden).toMatchObject({ code: 'bus/handler-failed' });
    expect(String(hidden)).not.toContain('hunter2');
    await target.close();
  });

  it('fail at once when nobody listens, and in time when nobody answers', async () => {
    await expect(bus.request(closeViewOperation, { componentId: 'nobody' }, { viewId: 'v' })).rejects.toMatchObject({ code: 'bus/no-responder' });
    const silent = await startTestBus(nats.url, { role: 'master-target', componentId: 'mt-3' });
    silent.serve(closeViewOperation, () => new Promise(() => undefined));
    await silent.link.connection().flush();
    await expect(bus.request(closeViewOperation, { componentId: 'mt-3', timeoutMillis: 100 }, { viewId: 'v' })).rejects.toMatchObject({ code: 'bus/timeout' });
    await silent.close();
  });
});
