// SPDX-License-Identifier: Apache-2.0
import { SpanStatusCode } from '@opentelemetry/api';
import { sampledTraceparent } from '@secondsite/change-set';
import { startRootSpan, startSpan } from '@secondsite/telemetry';
import type { TimeMicros } from '@secondsite/units';
import type { ChangeSetHops } from '../volume/change-set-hop-log';

/**
 * Records the agent's part of a change set's trace, after the fact: the times come from the volume's thread, and so does the trace context, whose
 * own span is the first one here. Everybody's spans of the set are its children, also those that come after it has ended.
 */
export function recordHopSpans(pairId: string, hops: ChangeSetHops): void {
  const { epoch, sequence, storedBytes, entryCount, firstWriteAt, cutAt, sentAt, answeredAt, late } = hops;
  if (hops.traceparent === undefined) return;
  const traceparent = sampledTraceparent(hops.traceparent);
  const attributes = { 'secondsite.pair_id': pairId, 'secondsite.epoch': epoch, 'secondsite.sequence': sequence };
  const child = (name: string, start: TimeMicros, { end, more = {} }: { readonly end: TimeMicros | undefined; readonly more?: Record<string, number> }): void => {
    if (end !== undefined) startSpan({ name, traceparent, startTime: start, attributes: { ...attributes, ...more } }).end(new Date(end / 1000));
  };
  const whole = startRootSpan({ name: 'change set', traceparent, startTime: firstWriteAt, attributes: { ...attributes, ...(late ? { 'secondsite.traced_because': late } : {}) } });
  if (late === 'failed') whole.setStatus({ code: SpanStatusCode.ERROR, message: 'its epoch ended before it was applied' });
  whole.end(new Date((answeredAt ?? sentAt ?? cutAt) / 1000));
  child('gather change set', firstWriteAt, { end: cutAt, more: { 'secondsite.entries': entryCount } });
  child('wait at agent', cutAt, { end: sentAt });
  if (sentAt !== undefined) child('send change set', sentAt, { end: answeredAt, more: { 'secondsite.stored_bytes': storedBytes } });
}
