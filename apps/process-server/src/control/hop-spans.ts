// SPDX-License-Identifier: Apache-2.0
import { SpanStatusCode } from '@opentelemetry/api';
import { sampledTraceparent } from '@secondsite/change-set';
import { startSpan } from '@secondsite/telemetry';
import type { TimeMicros } from '@secondsite/units';
import type { Passage } from './hop-recorder';

/** Records this component's part of a change set's trace, after the fact, waiting times included. */
export function recordHopSpans(pairId: string, passage: Passage): void {
  const { epoch, sequence, receivedAt, spoolDurableAt, sentAt, forwardedAt, refusedAt } = passage;
  if (passage.traceparent === undefined || sentAt === undefined) return;
  const about = { traceparent: sampledTraceparent(passage.traceparent), attributes: { 'secondsite.pair_id': pairId, 'secondsite.epoch': epoch, 'secondsite.sequence': sequence } };
  const span = (name: string, start: TimeMicros, end: TimeMicros): void => startSpan({ name, startTime: start, ...about }).end(new Date(end / 1000));
  if (spoolDurableAt === undefined) span('wait in process server', receivedAt, sentAt);
  else {
    span('spool', receivedAt, spoolDurableAt);
    span('wait in spool', spoolDurableAt, Math.max(spoolDurableAt, sentAt));
  }
  const forward = startSpan({ name: 'forward', startTime: sentAt, ...about });
  if (refusedAt !== undefined) forward.setStatus({ code: SpanStatusCode.ERROR, message: 'the master target refused it' });
  forward.end(new Date((forwardedAt ?? refusedAt ?? sentAt) / 1000));
}
