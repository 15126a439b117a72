// SPDX-License-Identifier: Apache-2.0
/**
 * The first span of a trace whose ids were chosen before, elsewhere: a change set gets its trace context in a thread that has no tracing, and
 * the span that this context names is recorded later. Without it everything that continues the context would hang under a parent that nobody has.
 */
import { ROOT_CONTEXT, type Span, type SpanContext, trace } from '@opentelemetry/api';
import { type IdGenerator, RandomIdGenerator, type Sampler, SamplingDecision, type SamplingResult } from '@opentelemetry/sdk-trace-base';
import { scope, type SpanStart, spanContextOf, startOptions } from './trace-context';

const random = new RandomIdGenerator();
/** Set only while a span is started, which happens in one go: then the SDK draws the ids and asks the sampler. */
let given: SpanContext | undefined;

/**
 * Starts the span that `traceparent` names, as the root of its trace, recorded if the trace context says so; the caller ends it. To be called
 * once for a trace context. A text that is no valid trace context gives a new trace.
 */
export function startRootSpan(start: SpanStart & { readonly traceparent: string }): Span {
  given = spanContextOf(start.traceparent);
  try {
    return trace.getTracer(scope).startSpan(start.name, startOptions(start), ROOT_CONTEXT);
  } finally {
    given = undefined;
  }
}

export const idGenerator: IdGenerator = {
  generateTraceId: () => given?.traceId ?? random.generateTraceId(),
  generateSpanId: () => given?.spanId ?? random.generateSpanId(),
};

/** The decision about a root whose ids were given was taken with them; about others `otherwise` decides. */
export class GivenRootSampler implements Sampler {
  constructor(private readonly otherwise: Sampler) {}

  shouldSample(...about: Parameters<Sampler['shouldSample']>): SamplingResult {
    if (!given) return this.otherwise.shouldSample(...about);
    return { decision: (given.traceFlags & 1) === 1 ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
  }

  toString(): string {
    return `as its trace context says, else ${this.otherwise.toString()}`;
  }
}
