// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineRoute } from './route';

export const requestResync = defineRoute({
  operationId: 'requestResync', method: 'POST', path: '/v1/volumes/{volume}/resync', tag: 'protection', access: 'admin', status: 200,
  summary: 'Read the whole volume again, as soon as the pair has its turn; one that needs that anyway does not wait for its time.',
  response: z
    .object({ pairId: z.string(), volumeName: z.string(), place: z.number().int().optional().describe('of the queue; absent: it begins now') })
    .meta({ id: 'RequestedResync' }),
});
