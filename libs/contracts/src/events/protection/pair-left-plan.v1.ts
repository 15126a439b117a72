// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { retentionLadderSchema } from '../../retention';
import { idSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const pairLeftPlanV1 = defineEvent({
  context: 'protection',
  fact: 'pair-left-plan',
  version: 1,
  summary: 'A pair is in no plan any more; its replica and its recovery points are kept for a while.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    keptUntil: isoTimeSchema.describe('then they are deleted'),
    retention: retentionLadderSchema.describe('what is kept of the points until then'),
  }),
});
