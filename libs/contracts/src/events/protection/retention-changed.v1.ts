// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, retentionSchema } from '../../scalars';

export const retentionChangedV1 = defineEvent({
  context: 'protection',
  fact: 'retention-changed',
  version: 1,
  summary: 'The retention of a plan was changed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    retention: retentionSchema,
  }),
});
