// SPDX-License-Identifier: Apache-2.0
import { isoFromMicros, OperationError, type TimeMicros } from '@secondsite/units';
import type { z } from 'zod';
import type { Actor } from './cloud-event';
import type { EventDefinition, EventOf } from './define-event';

/** What an event says besides its data. */
export interface EventOrigin {
  /** `/<role>/<component id>` of the publisher. */
  readonly source: string;
  readonly tenantId: string;
  readonly actor: Actor;
  /** Absent: the event starts a correlation of its own. */
  readonly correlationId?: string | undefined;
  readonly causationId?: string | undefined;
  readonly traceparent?: string | undefined;
}

export interface EventStamp {
  readonly id: string;
  readonly time: TimeMicros;
}

/** Builds a checked event. Throws OperationError `event/invalid` if the data do not follow the schema (a programmer's or an input error). */
export function makeEvent<Definition extends EventDefinition>(
  definition: Definition, data: z.input<Definition['data']>, origin: EventOrigin & EventStamp,
): EventOf<Definition> {
  const checked = definition.data.safeParse(data);
  if (!checked.success) throw invalidData(definition, checked.error);
  const values = checked.data as Record<string, unknown>;
  return {
    specversion: '1.0', id: origin.id, source: origin.source, type: definition.type, subject: String(values[definition.aggregateId]),
    time: isoFromMicros(origin.time), datacontenttype: 'application/json', tenantid: origin.tenantId,
    correlationid: origin.correlationId ?? origin.id,
    ...(origin.causationId === undefined ? {} : { causationid: origin.causationId }),
    ...(origin.traceparent === undefined ? {} : { traceparent: origin.traceparent }),
    actor: origin.actor, data: values as EventOf<Definition>['data'],
  };
}

export interface EventMakerOptions extends EventOrigin {
  readonly now: () => TimeMicros;
  /** A new unique id at each call. */
  readonly newId: () => string;
}

/** Makes events of one publisher; single fields of the origin can be set per event. */
export class EventMaker {
  constructor(private readonly options: EventMakerOptions) {}

  make<Definition extends EventDefinition>(
    definition: Definition, data: z.input<Definition['data']>, origin: Partial<EventOrigin> = {},
  ): EventOf<Definition> {
    const { now, newId, ...defaults } = this.options;
    return makeEvent(definition, data, { ...defaults, ...origin, id: newId(), time: now() });
  }
}

function invalidData(definition: EventDefinition, error: z.ZodError): OperationError {
  const faults = error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  return new OperationError({
    code: 'event/invalid', operation: 'make event', context: { type: definition.type, faults }, retryable: false,
    hint: 'The data do not follow the released schema.', cause: error,
  });
}
