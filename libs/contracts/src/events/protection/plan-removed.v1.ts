// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const planRemovedV1 = defineEvent({
  context: 'protection',
  fact: 'plan-removed',
  version: 1,
  summary: 'A plan was removed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    deleteData: z.boolean(),
  }),
});
