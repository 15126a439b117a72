// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { isoTimeSchema, pairIdSchema } from '../../scalars';

export const pointRefusedV1 = defineEvent({
  context: 'recovery',
  fact: 'point-refused',
  version: 1,
  summary: 'A recovery point was asked for that cannot be served.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    requested: z.string().min(1).max(200),
    reason: z.enum(['before-retention', 'after-newest', 'not-green', 'no-such-bookmark', 'nothing-recoverable', 'inside-folded-set']),
    nearestBefore: isoTimeSchema.optional(),
    nearestAfter: isoTimeSchema.optional(),
  }),
});
