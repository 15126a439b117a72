// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const pairJoinedPlanV1 = defineEvent({
  context: 'protection',
  fact: 'pair-joined-plan',
  version: 1,
  summary: 'A pair is in another plan now, with its replica and its recovery points.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    fromPlanId: idSchema.describe('the plan that it was in last'),
  }),
});
