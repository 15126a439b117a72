// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bytesSchema, referenceSchema, timeInputSchema, timeSchema } from './fields';
import { defineRoute } from './route';

export const pointRequestSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('latest') }),
  z.object({ kind: z.literal('at'), time: timeInputSchema }),
  z.object({ kind: z.literal('bookmark'), name: z.string().min(1).describe('name or id; the newest of that name') }),
]);
export type PointRequest = z.infer<typeof pointRequestSchema>;

export const viewSchema = z
  .object({
    viewId: z.string(),
    pairId: z.string(),
    volumeId: z.string(),
    volumeName: z.string(),
    masterTargetId: z.string(),
    pointTime: timeSchema.describe('the disk holds exactly the writes acknowledged at or before this time'),
    readWrite: z.boolean(),
    sizeBytes: bytesSchema,
    nbdUris: z.array(z.string()).describe('unix socket first, then TCP'),
    openedAt: timeSchema.optional(),
  })
  .meta({ id: 'View' });
export type View = z.infer<typeof viewSchema>;

export const openViews = defineRoute({
  operationId: 'openViews', method: 'POST', path: '/v1/views', tag: 'recovery', access: 'admin', status: 201,
  summary: 'Open a view of a volume, or of every volume of a plan at one common point; all or none. 409 recovery/point-refused names the nearest points.',
  body: z.object({ of: referenceSchema.describe('plan or volume, name or id'), point: pointRequestSchema, readWrite: z.boolean().default(false) }),
  response: z.object({ pointTime: timeSchema, views: z.array(viewSchema) }).meta({ id: 'OpenedViews' }),
});

export const listViews = defineRoute({
  operationId: 'listViews', method: 'GET', path: '/v1/views', tag: 'recovery', access: 'admin', status: 200,
  summary: 'List the open views of all master targets; targets that do not answer are named.',
  response: z.object({ views: z.array(viewSchema), unreachableMasterTargets: z.array(z.string()) }),
});

export const closeView = defineRoute({
  operationId: 'closeView', method: 'DELETE', path: '/v1/views/{viewId}', tag: 'recovery', access: 'admin', status: 204,
  summary: 'Close a view; what was written to it is dropped.',
});
