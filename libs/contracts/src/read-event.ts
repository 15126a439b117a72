// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import type { z } from 'zod';
import { cloudEventSchema, type CloudEventEnvelope } from './cloud-event';
import { type CurrentEvent, findEventDefinition, type ReleasedEvent } from './event-registry';
import { upcastEvent } from './upcasters';

/** Checks an event against its own released version, without changing its version. Throws OperationError `event/…`. */
export function parseEvent(json: unknown): ReleasedEvent {
  return parseKnown(json) as ReleasedEvent;
}

/** Checks an event and brings it to the newest version of its fact. Throws OperationError `event/unknown-type` or `event/invalid`. */
export function readEvent(json: unknown): CurrentEvent {
  const event = upcastEvent(parseKnown(json));
  return event as CurrentEvent;
}

function parseKnown(json: unknown): CloudEventEnvelope {
  const envelope = cloudEventSchema.safeParse(json);
  if (!envelope.success) throw invalidEvent(envelope.error, 'unknown');
  const definition = findEventDefinition(envelope.data.type);
  if (!definition) throw unknownType(envelope.data.type);
  const data = definition.data.safeParse(envelope.data.data);
  if (!data.success) throw invalidEvent(data.error, envelope.data.type);
  const checked = { ...envelope.data, data: data.data as Record<string, unknown> };
  if (checked.data[definition.aggregateId] !== checked.subject) throw wrongSubject(checked);
  return checked;
}

function unknownType(type: string): OperationError {
  return new OperationError({
    code: 'event/unknown-type', operation: 'read event', context: { type }, retryable: false,
    hint: 'A newer component published it; upgrade this one.',
  });
}

function wrongSubject(event: CloudEventEnvelope): OperationError {
  return new OperationError({
    code: 'event/invalid', operation: 'read event', context: { type: event.type, id: event.id }, retryable: false,
    hint: 'Its subject is not the id of its aggregate.',
  });
}

function invalidEvent(error: z.ZodError, type: string): OperationError {
  const faults = error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  return new OperationError({
    code: 'event/invalid', operation: 'read event', context: { type, faults }, retryable: false,
    hint: 'Its publisher does not follow the released schema.', cause: error,
  });
}
