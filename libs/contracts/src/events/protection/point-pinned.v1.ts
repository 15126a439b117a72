// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const pointPinnedV1 = defineEvent({
  context: 'protection',
  fact: 'point-pinned',
  version: 1,
  summary: 'A recovery point was named and pinned: retention does not drop it.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    pinId: idSchema,
    name: z.string().min(1).max(200),
    points: z.array(z.object({ pairId: pairIdSchema, time: isoTimeSchema })).min(1),
  }),
});
