// SPDX-License-Identifier: Apache-2.0
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import 'reflect-metadata';
import { Controller, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  type CloudEvent, closeViewOperation, type EventOf, eventSubjectFilter, hostAddedV1, hostRemovedV1, listViewsOperation, type MasterTargetDesiredState, type RequestOf,
  type Telemetry,
} from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, type TestNats } from '@secondsite/embedded-services/testing';
import type { Delivery, MessageBus } from '@secondsite/messaging';
import { startTestBus } from '@secondsite/messaging/testing';
import { activeTraceparent, startTracing, type Tracing } from '@secondsite/telemetry';
import { OperationError } from '@secondsite/units';
import { Answers, OnDesiredState, OnEvent, OnTelemetry } from './bus-handlers';
import { JetStreamServer, type JetStreamServerOptions } from './jet-stream-server';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
const until = (what: string, check: () => boolean): Promise<true> => waitUntil(() => check() || undefined, { what, timeoutMillis: 20_000 });

@Controller()
class HostsController {
  readonly added: string[] = [];
  readonly removed: { id: string; delivery: Delivery; traceparent: string | undefined }[] = [];
  failures = new Map<string, number>();

  @OnEvent(hostAddedV1)
  async add(event: EventOf<typeof hostAddedV1>): Promise<void> {
    const failures = this.failures.get(event.id) ?? 0;
    this.failures.set(event.id, failures - 1);
    if (failures > 0) throw new OperationError({ code: 'database/away', operation: 'add host', retryable: true, hint: 'Wait.' });
    this.added.push(event.id);
  }

  @OnEvent(hostRemovedV1)
  async remove(@Payload() { id }: EventOf<typeof hostRemovedV1>, @Ctx() delivery: Delivery): Promise<void> {
    this.removed.push({ id, delivery, traceparent: activeTraceparent() });
  }
}

/** A second one for the same type: both are called, and the event is dealt with when both succeed. */
@Controller()
class AuditController {
  readonly seen: string[] = [];

  @OnEvent(hostRemovedV1)
  async note({ id }: EventOf<typeof hostRemovedV1>): Promise<void> {
    this.seen.push(id);
  }
}

@Controller()
class ViewsController {
  readonly documents: number[] = [];
  readonly heard: string[] = [];
  refusals = 1;

  @Answers(closeViewOperation)
  async close({ viewId }: RequestOf<typeof closeViewOperation>): Promise<{ closed: boolean }> {
    if (viewId === 'busy') throw new OperationError({ code: 'view/busy', operation: 'close view', context: { viewId }, retryable: true, hint: 'Disconnect the client first.' });
    return { closed: true };
  }

  @Answers(listViewsOperation)
  async list(): Promise<never> {
    throw new Error('password is hunter2');
  }

  @OnDesiredState('master-target')
  async reconcile({ revision }: MasterTargetDesiredState): Promise<void> {
    this.documents.push(revision);
    if (revision === 2 && this.refusals-- > 0) throw new Error('not yet');
  }

  @OnTelemetry()
  hear(telemetry: Telemetry): void {
    this.heard.push(telemetry.at);
    if (telemetry.at.endsWith('33Z')) throw new Error('deaf');
  }
}

/** Never made: the compiler must refuse it. */
export class WrongController {
  // @ts-expect-error the method takes another event than it is bound to
  @OnEvent(hostAddedV1)
  async remove(_event: EventOf<typeof hostRemovedV1>): Promise<void> {}

  // @ts-expect-error the reply is not the operation's
  @Answers(closeViewOperation)
  async close(): Promise<{ closed: string }> {
    return { closed: 'yes' };
  }
}

describe('a Nest service on the bus', () => {
  let nats: TestNats;
  let bus: MessageBus;
  let own: MessageBus;
  let tracing: Tracing;
  let app: INestMicroservice | undefined;

  beforeAll(async () => {
    tracing = await startTracing({ serviceName: 'spec' });
    nats = await startTestNats();
    bus = await startTestBus(nats.url, { role: 'config-server', componentId: 'cs' });
    own = await startTestBus(nats.url, { role: 'master-target', componentId: 'mt-1' });
  });
  afterEach(() => app?.close());
  afterAll(async () => {
    await own?.close();
    await bus?.close();
    await nats?.stop();
    await tracing.shutdown();
  });

  async function serve(controllers: readonly Type[], events?: JetStreamServerOptions['events']): Promise<INestMicroservice> {
    class SpecModule {}
    const strategy = new JetStreamServer({ bus: own, log: silent, ...(events && { events }) });
    app = await NestFactory.createMicroservice({ module: SpecModule, controllers: [...controllers] }, { strategy, logger: false, abortOnError: false });
    await app.listen();
    return app;
  }

  const eventsOf = (aggregateId: string, durable = aggregateId) => ({
    durable, subjects: [eventSubjectFilter({ context: 'inventory', aggregateId })], attemptsMax: 3, backOffMillis: 10,
  });
  const added = (hostId: string): CloudEvent => sampleEvent(hostAddedV1, { hostId, name: 'orders' });
  const removed = (hostId: string): CloudEvent => sampleEvent(hostRemovedV1, { hostId });

  it('gives an event that a handler threw at again, and buries it with the reason of the handler', async () => {
    const hosts = (await serve([HostsController], eventsOf('host-a'))).get(HostsController);
    const [twice, poison, last] = [added('host-a'), added('host-a'), added('host-a')];
    hosts.failures = new Map([[twice.id, 2], [poison.id, 99]]);
    for (const event of [twice, poison, last]) await bus.publishEvent(event);
    const letter = await waitUntil(async () => (await bus.deadLetters('host-a'))[0], { what: 'a dead letter', timeoutMillis: 20_000 });
    await until('the others', () => hosts.added.length === 2);
    expect([...hosts.added].sort()).toEqual([twice.id, last.id].sort());
    expect(letter).toMatchObject({ attempts: 3, reason: expect.stringContaining('add host') });
    expect(JSON.parse(letter.body)).toEqual(poison);
  });

  it('calls every handler of a type, with the delivery and the trace of the event, and passes over what nobody handles', async () => {
    const service = await serve([HostsController, AuditController], eventsOf('host-b'));
    const [unhandledHere, event] = [added('host-b'), { ...removed('host-b'), traceparent }];
    await bus.publishEvent(unhandledHere);
    await bus.publishEvent(event);
    const hosts = service.get(HostsController);
    await until('the removal', () => hosts.removed.length === 1 && service.get(AuditController).seen.length === 1);
    expect(hosts.removed[0]).toMatchObject({ id: event.id, delivery: { attempt: 1 } });
    expect(hosts.removed[0]?.traceparent?.slice(3, 35)).toBe(traceId);
  });

  it('goes on where it was after a restart, and finishes the event in hand before it ends', async () => {
    const first = await serve([HostsController], eventsOf('host-c'));
    const events = Array.from({ length: 20 }, () => added('host-c'));
    for (const event of events.slice(0, 10)) await bus.publishEvent(event);
    const { added: before } = first.get(HostsController);
    await until('the first', () => before.length > 0);
    await first.close();
    const handled = before.length;
    for (const event of events.slice(10)) await bus.publishEvent(event);
    const { added: after } = (await serve([HostsController], eventsOf('host-c'))).get(HostsController);
    await until('the rest', () => before.length + after.length === 20);
    expect(before).toHaveLength(handled);
    expect([...before, ...after]).toEqual(events.map(({ id }) => id));
  });

  it('answers requests; who asked gets what the handler threw, or nothing of its inside', async () => {
    await serve([ViewsController]);
    await own.link.connection().flush();
    const target = { componentId: 'mt-1' };
    expect(await bus.request(closeViewOperation, target, { viewId: 'v' })).toEqual({ closed: true });
    await expect(bus.request(closeViewOperation, target, { viewId: 'busy' })).rejects.toMatchObject({
      code: 'view/busy', retryable: true, hint: 'Disconnect the client first.', context: { viewId: 'busy' },
    });
    const hidden = await bus.request(listViewsOperation, target, {}).catch((error: unknown) => error);
    expect(hidden).toMatchObject({ code: 'bus/handler-failed' });
    expect(String(hidden)).not.toContain('hunter2');
  });

  it('follows its desired state and telemetry over failures and outages of the bus, and answers again', async () => {
    const views = (await serve([ViewsController])).get(ViewsController);
    const put = (pairId: string) => bus.putDesiredState({ role: 'master-target', componentId: 'mt-1' }, { pairs: [], removedPairs: [pairId] });
    const say = (at: string) => bus.publishTelemetry({ role: 'agent', componentId: 'host-1', tenantId: 'default', at, volumes: [] });
    await put('0f0e0d0c-0b0a-4908-8706-050403020101');
    await until('the first document', () => views.documents.includes(1));
    await put('0f0e0d0c-0b0a-4908-8706-050403020102');
    await until('the second, twice', () => views.documents.filter((revision) => revision === 2).length === 2);
    say('2026-11-21T22:50:33Z');
    await until('telemetry that fails', () => views.heard.includes('2026-11-21T22:50:33Z'));
    await nats.kill();
    await until('the bus to notice', () => !own.isConnected && !bus.isConnected);
    await nats.start();
    await Promise.all([own.whenConnected(20_000), bus.whenConnected(20_000)]);
    await put('0f0e0d0c-0b0a-4908-8706-050403020103');
    await until('the third document', () => views.documents.includes(3));
    await until('telemetry again', () => say('2026-11-21T22:50:35Z') && views.heard.includes('2026-11-21T22:50:35Z'));
    const answered = (): Promise<{ closed: boolean } | undefined> => bus.request(closeViewOperation, { componentId: 'mt-1' }, { viewId: 'v' }).catch(() => undefined);
    expect(await waitUntil(answered, { what: 'an answer', timeoutMillis: 20_000 })).toEqual({ closed: true });
  });

  it('serves nothing more once it is closed', async () => {
    const service = await serve([ViewsController]);
    await own.link.connection().flush();
    await service.close();
    await own.link.connection().flush();
    await expect(bus.request(closeViewOperation, { componentId: 'mt-1' }, { viewId: 'v' })).rejects.toMatchObject({ code: 'bus/no-responder' });
  });

  it('does not start when handlers are bound to events that come from nowhere, or to another role', async () => {
    await expect(serve([HostsController])).rejects.toThrow(/nothing says where those come from/);
    @Controller()
    class AgentController {
      @OnDesiredState('agent')
      async reconcile(): Promise<void> {}
    }
    await expect(serve([AgentController])).rejects.toThrow(/desired state of role agent is none for master-target/);
  });
});
