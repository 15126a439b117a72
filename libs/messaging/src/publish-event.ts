// SPDX-License-Identifier: Apache-2.0
import { type CloudEvent, eventSubject } from '@secondsite/contracts';
import { SpanKind } from '@opentelemetry/api';
import { busError } from './bus-error';
import type { NatsLink } from './nats-link';
import { inSpan, tracedHeaders } from './trace-headers';

const ackTimeoutMillis = 5_000;

export interface PublishedEvent {
  /** Position in the stream. */
  readonly sequence: number;
  /** The stream had this event already. */
  readonly duplicate: boolean;
}

/**
 * Publishes one event and waits until JetStream has it durably. Idempotent: the event's id is the message id. A trace that is active goes
 * along; otherwise the event's own. Throws OperationError `bus/…`; it is always safe to publish again.
 */
export function publishEvent(link: NatsLink, event: CloudEvent): Promise<PublishedEvent> {
  const subject = eventSubject(event);
  return inSpan(`publish ${event.type}`, { kind: SpanKind.PRODUCER, traceparent: event.traceparent }, async () => {
    try {
      const options = { msgID: event.id, headers: tracedHeaders(event.traceparent), timeout: ackTimeoutMillis };
      const ack = await link.connection().jetstream().publish(subject, JSON.stringify(event), options);
      return { sequence: ack.seq, duplicate: ack.duplicate };
    } catch (cause) {
      throw busError({ operation: 'publish event', context: { type: event.type, id: event.id }, cause });
    }
  });
}
