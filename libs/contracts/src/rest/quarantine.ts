// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bytesSchema, referenceSchema, timeSchema } from './fields';
import { defineRoute } from './route';

export const keptSetSchema = z
  .object({
    pairId: z.string(),
    volumeName: z.string(),
    component: z.object({ role: z.enum(['process-server', 'master-target']), componentId: z.string() }).describe('who refused it and keeps it'),
    epoch: z.number().int(),
    sequence: z.number().int(),
    bytes: bytesSchema,
    reason: z.string().optional(),
    keptAt: timeSchema.optional(),
  })
  .meta({ id: 'KeptChangeSet' });
export type KeptChangeSet = z.infer<typeof keptSetSchema>;

export const listQuarantine = defineRoute({
  operationId: 'listQuarantine', method: 'GET', path: '/v1/quarantine', tag: 'observability', access: 'admin', status: 200,
  summary: 'Change sets that were refused for good and are kept aside, never applied; components that do not answer are named.',
  query: z.object({ of: referenceSchema.optional().describe('plan or volume, name or id; absent: all') }),
  response: z.object({ sets: z.array(keptSetSchema), silent: z.array(z.string()) }).meta({ id: 'Quarantine' }),
});
