// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { closeViewOperation, hostAddedV1 } from '@secondsite/contracts';
import { sampleEvent } from '@secondsite/contracts/testing';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, type TestNats } from '@secondsite/embedded-services/testing';
import type { MessageBus } from './message-bus';
import { startTestBus } from './testing';

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
let nats: TestNats;
let bus: MessageBus;

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  nats = await startTestNats();
  bus = await startTestBus(nats.url);
});
afterAll(async () => {
  await bus.close();
  await nats.stop();
  await provider.shutdown();
});

const activeTrace = (): string | undefined => trace.getActiveSpan()?.spanContext().traceId;

describe('a trace', () => {
  it('goes on from an event to those who handle it', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const seen: (string | undefined)[] = [];
    bus.consume({ durable: 'traced', subjects: ['ss.default.inventory.traced-1.*.*'], handler: async () => void seen.push(activeTrace()) });
    await bus.publishEvent(sampleEvent(hostAddedV1, { hostId: 'traced-1', name: 'orders' }, { traceparent: `00-${traceId}-b7ad6b7169203331-01` }));
    await waitUntil(() => seen.length === 1 || undefined, { what: 'the event', timeoutMillis: 10_000 });
    expect(seen).toEqual([traceId]);
    const names = exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId).map((span) => span.name);
    expect(names).toContain('publish secondsite.inventory.host-added.v1');
  });

  it('goes from the one who asks to the one who answers', async () => {
    const seen: (string | undefined)[] = [];
    const target = await startTestBus(nats.url, { role: 'master-target', componentId: 'mt-1' });
    target.serve(closeViewOperation, async () => {
      seen.push(activeTrace());
      return { closed: true };
    });
    await target.link.connection().flush();
    await trace.getTracer('spec').startActiveSpan('asked', async (span) => {
      await bus.request(closeViewOperation, { componentId: 'mt-1' }, { viewId: 'v' });
      span.end();
      expect(seen).toEqual([span.spanContext().traceId]);
    });
    await target.close();
  });
});
