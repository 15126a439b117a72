// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const consistencyIntervalChangedV1 = defineEvent({
  context: 'protection',
  fact: 'consistency-interval-changed',
  version: 1,
  summary: 'The consistency interval of a plan was changed; absent means none.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    consistencyIntervalSeconds: z.int().positive().optional(),
  }),
});
