// SPDX-License-Identifier: Apache-2.0
import type { z } from 'zod';
import type { EventDefinition, EventOf } from '../define-event';
import { makeEvent } from '../make-event';

let counter = 0;

/** A valid event for tests, with an id of its own; fields of the envelope can be overridden. */
export function sampleEvent<Definition extends EventDefinition>(
  definition: Definition, data: z.input<Definition['data']>, overrides: Partial<EventOf<Definition>> = {},
): EventOf<Definition> {
  counter += 1;
  const event = makeEvent(definition, data, {
    id: `sample-${process.pid}-${counter}`, time: 1_795_301_432_000_001 + counter, source: '/agent/host-1', tenantId: 'default',
    actor: { kind: 'component', id: 'host-1' },
  });
  return { ...event, ...overrides };
}
