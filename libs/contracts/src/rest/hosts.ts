// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { prioritySchema } from '../bandwidth';
import { nameSchema, timeSchema } from './fields';
import { defineRoute } from './route';

export const hostSchema = z
  .object({
    hostId: z.string(),
    name: z.string(),
    addedAt: timeSchema,
    agent: z.enum(['missing', 'enrolled', 'online', 'silent']).describe('missing: not enrolled yet; silent: no telemetry for 5 s'),
    volumeCount: z.number().int(),
    priority: prioritySchema.describe('share of a limited link that its pairs get: 4 parts, 2 or 1'),
  })
  .meta({ id: 'Host' });
export type Host = z.infer<typeof hostSchema>;

export const addHost = defineRoute({
  operationId: 'addHost', method: 'POST', path: '/v1/hosts', tag: 'inventory', access: 'admin', status: 201,
  summary: 'Add a protected host; its agent enrols with a token of role agent.',
  body: z.object({ name: nameSchema }),
  response: hostSchema,
});

export const listHosts = defineRoute({
  operationId: 'listHosts', method: 'GET', path: '/v1/hosts', tag: 'inventory', access: 'admin', status: 200,
  summary: 'List the hosts.',
  response: z.object({ hosts: z.array(hostSchema) }),
});

export const changeHost = defineRoute({
  operationId: 'changeHost', method: 'PATCH', path: '/v1/hosts/{host}', tag: 'inventory', access: 'admin', status: 200,
  summary: 'Change the replication priority of a host.',
  body: z.object({ priority: prioritySchema }),
  response: hostSchema,
});
