// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bandwidthSchema, bandwidthWishSchema } from '../bandwidth';
import { componentRoleSchema, timeSchema } from './fields';
import { defineRoute } from './route';

export const componentSchema = z
  .object({
    componentId: z.string().describe('an agent has the id of its host'),
    role: componentRoleSchema,
    name: z.string(),
    enrolledAt: timeSchema,
    url: z.string().optional().describe('address of its data plane, once it has started'),
    state: z.enum(['enrolled', 'online', 'silent']).describe('enrolled: never seen running; silent: no telemetry for 5 s'),
    lastSeenAt: timeSchema.optional(),
    pairCount: z.number().int(),
    bandwidth: bandwidthSchema.optional().describe('of a master target: limit for all that is sent to it; absent: none'),
  })
  .meta({ id: 'Component' });
export type Component = z.infer<typeof componentSchema>;

export const listComponents = defineRoute({
  operationId: 'listComponents', method: 'GET', path: '/v1/components', tag: 'inventory', access: 'admin', status: 200,
  summary: 'List agents, process servers and master targets.',
  response: z.object({ components: z.array(componentSchema) }),
});

export const changeComponent = defineRoute({
  operationId: 'changeComponent', method: 'PATCH', path: '/v1/components/{component}', tag: 'inventory', access: 'admin', status: 200,
  summary: 'Limit the bandwidth of all that is sent to a master target (null: no limit).',
  body: z.object({ bandwidth: bandwidthWishSchema.nullable() }),
  response: componentSchema,
});
