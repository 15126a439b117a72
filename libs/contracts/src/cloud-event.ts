// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { idSchema, isoTimeSchema, traceparentSchema } from './scalars';

/** Who caused a fact: a person, a component, or the system by itself (a schedule, a process manager). */
export const actorSchema = z.object({ kind: z.enum(['user', 'component', 'system']), id: z.string().min(1).max(128) });
export type Actor = z.infer<typeof actorSchema>;

/** CloudEvents 1.0 in JSON, with the extensions every Secondsite event carries. `subject` is the id of the aggregate. */
export const cloudEventSchema = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(128).describe('unique; also the message id that lets the bus drop duplicates'),
  source: z.string().min(1).max(256).describe('/<role>/<component id>'),
  type: z.string().regex(/^secondsite\.[a-z-]+\.[a-z0-9-]+\.v[1-9]\d*$/),
  subject: idSchema,
  time: isoTimeSchema,
  datacontenttype: z.literal('application/json'),
  tenantid: idSchema,
  correlationid: z.string().min(1).max(128).describe('the same for everything one request set in motion'),
  causationid: z.string().min(1).max(128).optional().describe('id of the event or command that led to this one'),
  traceparent: traceparentSchema.optional(),
  actor: actorSchema,
  data: z.record(z.string(), z.unknown()),
});
export type CloudEventEnvelope = z.infer<typeof cloudEventSchema>;

/** An event whose type and data are known. */
export interface CloudEvent<Type extends string = string, Data = Readonly<Record<string, unknown>>> {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: Type;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly tenantid: string;
  readonly correlationid: string;
  readonly causationid?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly actor: Actor;
  readonly data: Data;
}
