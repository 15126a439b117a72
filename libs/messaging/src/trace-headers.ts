// SPDX-License-Identifier: Apache-2.0
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { headers, type MsgHdrs } from 'nats';

const tracer = trace.getTracer('@secondsite/messaging');
const setter = { set: (carrier: MsgHdrs, key: string, value: string): void => carrier.set(key, value) };
const getter = {
  keys: (carrier: MsgHdrs): string[] => carrier.keys(),
  get: (carrier: MsgHdrs, key: string): string | undefined => (carrier.has(key) ? carrier.get(key) : undefined),
};

/** Headers that carry the active trace; without tracing, `traceparent` as it is. */
export function tracedHeaders(traceparent?: string): MsgHdrs {
  const carrier = headers();
  propagation.inject(context.active(), carrier, setter);
  if (traceparent !== undefined && !carrier.has('traceparent')) carrier.set('traceparent', traceparent);
  return carrier;
}

/** Runs an action in a span of the active trace, else of `traceparent`; a failure is recorded on the span and thrown on. */
export function inSpan<Result>(name: string, options: { readonly kind: SpanKind; readonly traceparent?: string | undefined }, action: () => Promise<Result>): Promise<Result> {
  const { kind, traceparent } = options;
  const parent = trace.getActiveSpan() || traceparent === undefined ? context.active() : propagation.extract(context.active(), { traceparent });
  return tracer.startActiveSpan(name, { kind }, parent, (span) => settle(span, action));
}

/** The same as a child of the trace that a message carries. */
export function inMessageSpan<Result>(carrier: MsgHdrs | undefined, name: string, action: () => Promise<Result>): Promise<Result> {
  const parent = carrier ? propagation.extract(context.active(), carrier, getter) : context.active();
  return tracer.startActiveSpan(name, { kind: SpanKind.CONSUMER }, parent, (span) => settle(span, action));
}

async function settle<Result>(span: Span, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    span.recordException(error instanceof Error ? error : String(error));
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
