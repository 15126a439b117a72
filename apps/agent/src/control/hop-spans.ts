// SPDX-License-Identifier: Apache-2.0
import { startRootSpan, startSpan } from '@secondsite/telemetry';
import type { ChangeSetHops } from '../volume/change-set-hop-log';

/**
 * Records the agent's part of a change set's trace, after the fact: the times come from the volume's thread, and so does the trace context, whose
 * own span is the first one here. Everybody's spans of the set are its children, also those that come after it has ended.
 */
export function recordHopSpans(pairId: string, hops: ChangeSetHops): void {
  const { traceparent, epoch, sequence, storedBytes, entryCount, firstWriteAt, cutAt, sentAt = cutAt, answeredAt = sentAt } = hops;
  const attributes = { 'secondsite.pair_id': pairId, 'secondsite.epoch': epoch, 'secondsite.sequence': sequence };
  if (traceparent === undefined) return;
  const whole = startRootSpan({ name: 'change set', traceparent, startTime: firstWriteAt, attributes });
  whole.end(new Date(answeredAt / 1000));
  const gather = startSpan({ name: 'gather change set', traceparent, startTime: firstWriteAt, attributes: { ...attributes, 'secondsite.entries': entryCount } });
  gather.end(new Date(cutAt / 1000));
  const send = startSpan({ name: 'send change set', traceparent, startTime: sentAt, attributes: { ...attributes, 'secondsite.stored_bytes': storedBytes } });
  send.end(new Date(answeredAt / 1000));
}
