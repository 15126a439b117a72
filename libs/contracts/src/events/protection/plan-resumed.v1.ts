// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const planResumedV1 = defineEvent({
  context: 'protection',
  fact: 'plan-resumed',
  version: 1,
  summary: 'Replication of a plan was resumed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
  }),
});
