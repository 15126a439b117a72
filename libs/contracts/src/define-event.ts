// SPDX-License-Identifier: Apache-2.0
import type { z } from 'zod';
import type { CloudEvent } from './cloud-event';

export const eventContexts = ['inventory', 'security', 'protection', 'replication', 'recovery', 'monitoring'] as const;
export type EventContext = (typeof eventContexts)[number];

/** One released version of one fact. Its schema never changes afterwards; a change is a new version and an upcaster. */
export interface EventDefinition<Type extends string = string, Data extends z.ZodType = z.ZodType> {
  readonly type: Type;
  readonly context: EventContext;
  readonly fact: string;
  readonly version: number;
  readonly summary: string;
  /** Field of `data` that names the aggregate (the event's `subject`). */
  readonly aggregateId: string;
  readonly data: Data;
}

interface EventSpec<Context extends EventContext, Fact extends string, Version extends number, Data extends z.ZodObject> {
  readonly context: Context;
  readonly fact: Fact;
  readonly version: Version;
  readonly summary: string;
  readonly aggregateId: keyof z.infer<Data> & string;
  readonly data: Data;
}

export function defineEvent<
  const Context extends EventContext, const Fact extends string, const Version extends number, Data extends z.ZodObject,
>(spec: EventSpec<Context, Fact, Version, Data>): EventDefinition<`secondsite.${Context}.${Fact}.v${Version}`, Data> {
  return Object.freeze({ ...spec, type: `secondsite.${spec.context}.${spec.fact}.v${spec.version}` as const });
}

/** The event that a definition describes. */
export type EventOf<Definition extends EventDefinition> = CloudEvent<Definition['type'], z.infer<Definition['data']>>;
