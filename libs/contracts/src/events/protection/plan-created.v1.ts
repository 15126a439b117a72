// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { compressionSchema, idSchema, retentionSchema } from '../../scalars';

export const planCreatedV1 = defineEvent({
  context: 'protection',
  fact: 'plan-created',
  version: 1,
  summary: 'A protection plan was created.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    name: z.string().min(1).max(200),
    retention: retentionSchema,
    consistencyIntervalSeconds: z.int().positive().optional(),
    compression: compressionSchema,
    folding: z.boolean(),
  }),
});
