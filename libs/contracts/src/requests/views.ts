// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, idSchema, isoTimeSchema, pairIdSchema } from '../scalars';
import { defineOperation } from './define-operation';
import { pointRefusalSchema } from './points';

export const openedViewSchema = z.object({
  viewId: idSchema,
  pairId: pairIdSchema,
  volumeId: idSchema,
  pointTime: isoTimeSchema.describe('the view holds exactly the writes acknowledged at or before this time'),
  readWrite: z.boolean(),
  sizeBytes: byteCountSchema,
  nbdUris: z.array(z.string()).min(1).describe('unix socket first, then TCP'),
  openedAt: isoTimeSchema.optional(),
});
export type OpenedView = z.infer<typeof openedViewSchema>;

/** Idempotent by viewId: a repeated request answers the view that is open. */
export const openViewOperation = defineOperation({
  role: 'master-target',
  name: 'open-view',
  summary: 'Open a view of one pair at an exact time.',
  request: z.object({ viewId: idSchema, pairId: pairIdSchema, pointTime: isoTimeSchema, readWrite: z.boolean().default(false) }),
  reply: z.discriminatedUnion('outcome', [z.object({ outcome: z.literal('opened'), view: openedViewSchema }), pointRefusalSchema]),
});

/** Idempotent: closing what is not open answers `closed: false`. */
export const closeViewOperation = defineOperation({
  role: 'master-target',
  name: 'close-view',
  summary: 'Close a view and drop what was written to it.',
  request: z.object({ viewId: idSchema }),
  reply: z.object({ closed: z.boolean() }),
});

export const listViewsOperation = defineOperation({
  role: 'master-target',
  name: 'list-views',
  summary: 'The views that are open.',
  request: z.object({ pairIds: z.array(pairIdSchema).optional() }),
  reply: z.object({ views: z.array(openedViewSchema) }),
});
