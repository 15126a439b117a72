// SPDX-License-Identifier: Apache-2.0
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { type Instrumentation, registerInstrumentations } from '@opentelemetry/instrumentation';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import { meterProvider } from './process-metrics';
import { GivenRootSampler, idGenerator } from './root-span';

export type InstrumentationName = 'http' | 'pg' | 'nestjs';

export interface TracingOptions {
  /** E.g. `process-server`. */
  readonly serviceName: string;
  /** The component's id, when it is known. */
  readonly instanceId?: string | undefined;
  /** Base address of an OTLP/HTTP receiver, e.g. `http://localhost:4318`; undefined: spans get ids and travel on, but are not exported. */
  readonly otlpEndpoint?: string | undefined;
  /** Part of new traces that is recorded, 0 … 1; a trace that comes in keeps its sender's decision. Default 0.01. */
  readonly traceRatio?: number | undefined;
  /** Libraries that make their own spans. They must not be loaded before this returns. */
  readonly instrumentations?: readonly InstrumentationName[] | undefined;
  /** Told when the receiver did not take spans; they are lost, nothing else is. */
  readonly onExportFailure?: ((error: unknown) => void) | undefined;
}

export interface Tracing {
  /** Sends what is waiting now; takes at most 3 s and never rejects: what the receiver does not take is given up. */
  flush(): Promise<void>;
  /** Sends what is waiting, as `flush` does, and stops. */
  shutdown(): Promise<void>;
}

const traceRatioDefault = 0.01;
const flushMillisMax = 3000;

/** Starts tracing in this thread (main or worker; each has its own). Does not fail when the receiver is away: spans are then dropped. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const root = options.otlpEndpoint === undefined ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(options.traceRatio ?? traceRatioDefault);
  const instance = options.instanceId === undefined ? {} : { 'service.instance.id': options.instanceId };
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ [ATTR_SERVICE_NAME]: options.serviceName, ...instance }),
    sampler: new ParentBasedSampler({ root: new GivenRootSampler(root) }),
    idGenerator,
    spanProcessors: await spanProcessors(options.otlpEndpoint),
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(provider);
  const instrumentations = await Promise.all((options.instrumentations ?? []).map((name) => loaders[name]()));
  const unregister = registerInstrumentations({ instrumentations, tracerProvider: provider, meterProvider });
  const onExportFailure = options.onExportFailure ?? (() => undefined);
  setGlobalErrorHandler(onExportFailure);
  return {
    flush: () => atMost(flushMillisMax, provider.forceFlush().catch(onExportFailure)),
    shutdown: async () => {
      unregister();
      await atMost(flushMillisMax, provider.shutdown().catch(onExportFailure));
    },
  };
}

/** A receiver that is away must not keep the process from ending; spans that it did not take are given up. */
async function atMost(millisMax: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, millisMax);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

// Loaded only when used: each costs start-up time and memory.
const loaders: Record<InstrumentationName, () => Promise<Instrumentation>> = {
  http: async () => new (await import('@opentelemetry/instrumentation-http')).HttpInstrumentation(),
  pg: async () => new (await import('@opentelemetry/instrumentation-pg')).PgInstrumentation({ requireParentSpan: true }),
  nestjs: async () => new (await import('@opentelemetry/instrumentation-nestjs-core')).NestInstrumentation(),
};

async function spanProcessors(otlpEndpoint: string | undefined): Promise<SpanProcessor[]> {
  if (otlpEndpoint === undefined) return [];
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const exporter = new OTLPTraceExporter({ url: `${otlpEndpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: 5000 });
  return [new BatchSpanProcessor(exporter, { scheduledDelayMillis: 1000, maxQueueSize: 4096 })];
}
