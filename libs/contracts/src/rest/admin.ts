// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineRoute } from './route';

export const rebuildReadModels = defineRoute({
  operationId: 'rebuildReadModels', method: 'POST', path: '/v1/admin/rebuild', tag: 'administration', access: 'admin', status: 200,
  summary: 'Rebuild every read model from the events, from zero, and compare it with what was there.',
  response: z
    .object({
      events: z.number().int(),
      identical: z.boolean(),
      readModels: z.array(z.object({ name: z.string(), rows: z.number().int(), hashBefore: z.string(), hashAfter: z.string(), identical: z.boolean() })),
    })
    .meta({ id: 'RebuildResult' }),
});

export const getOpenApi = defineRoute({
  operationId: 'getOpenApi', method: 'GET', path: '/v1/openapi.json', tag: 'administration', access: 'public', status: 200,
  summary: 'This description, OpenAPI 3.1.',
});
