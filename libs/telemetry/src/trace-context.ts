// SPDX-License-Identifier: Apache-2.0
import {
  type Attributes,
  context,
  type Context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { TimeMicros } from '@secondsite/units';

export interface SpanStart {
  readonly name: string;
  /** W3C trace context of the parent, e.g. of a change-set header. Undefined: the active span, else a new trace. */
  readonly traceparent?: string | undefined;
  readonly attributes?: Attributes;
  readonly kind?: SpanKind;
  /** Default: now. */
  readonly startTime?: TimeMicros;
}

const traceparentPattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
export const scope = '@secondsite/telemetry';

/** Starts a span; the caller ends it. Costs next to nothing when the trace is not recorded. */
export function startSpan(start: SpanStart): Span {
  return trace.getTracer(scope).startSpan(start.name, startOptions(start), parentContext(start.traceparent));
}

export function startOptions({ attributes = {}, kind = SpanKind.INTERNAL, startTime }: SpanStart): SpanOptions {
  return { kind, attributes, ...(startTime === undefined ? {} : { startTime: new Date(startTime / 1000) }) };
}

/** Runs an action inside a span: what it starts and logs belongs to it. A failure is recorded on the span and thrown on. */
export async function inSpan<Result>(start: SpanStart, action: (span: Span) => Promise<Result> | Result): Promise<Result> {
  const span = startSpan(start);
  try {
    return await context.with(trace.setSpan(parentContext(start.traceparent), span), () => action(span));
  } catch (error) {
    span.recordException(error instanceof Error ? error : String(error));
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

/** The trace context that the next hop continues: 55 characters. Undefined when tracing was not started. */
export function traceparentOf(span: Span): string | undefined {
  const spanContext = span.spanContext();
  if (!isSpanContextValid(spanContext)) return undefined;
  return `00-${spanContext.traceId}-${spanContext.spanId}-${spanContext.traceFlags.toString(16).padStart(2, '0')}`;
}

/** The active span's trace context, if any. */
export function activeTraceparent(): string | undefined {
  const span = trace.getActiveSpan();
  return span === undefined ? undefined : traceparentOf(span);
}

/** A text that is no valid trace context starts a new trace, as the W3C recommendation asks. */
function parentContext(traceparent: string | undefined): Context {
  if (traceparent === undefined) return context.active();
  const spanContext = spanContextOf(traceparent);
  return spanContext ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : ROOT_CONTEXT;
}

export function spanContextOf(traceparent: string): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = '0'] = traceparentPattern.exec(traceparent) ?? [];
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
}
