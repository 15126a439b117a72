// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { defineRoute } from '@secondsite/contracts';
import { z } from 'zod';
import { buildOpenApi } from './build-open-api';

describe('an OpenAPI document', () => {
  const item = z.object({ id: z.string(), size: z.number().default(1) }).meta({ id: 'Item' });
  const list = defineRoute({
    operationId: 'list', method: 'GET', path: '/v1/boxes/{box}/items', tag: 't', summary: 's', access: 'admin', status: 200,
    query: z.object({ limit: z.coerce.number().default(5), from: z.string() }), response: z.object({ items: z.array(item) }),
  });

  it('has named schemas as components, and parameters from path and query', () => {
    const document = buildOpenApi([list], { title: 't', version: '1', description: 'd' });
    expect(document).toMatchObject({
      openapi: '3.1.0',
      components: { schemas: { Item: { required: ['id', 'size'] }, Problem: { type: 'object' } } },
      paths: {
        '/v1/boxes/{box}/items': {
          get: {
            parameters: [{ name: 'box', in: 'path' }, { name: 'limit', in: 'query', required: false }, { name: 'from', in: 'query', required: true }],
            responses: { 200: { content: { 'application/json': { schema: { properties: { items: { items: { $ref: '#/components/schemas/Item' } } } } } } } },
          },
        },
      },
    });
  });
});
