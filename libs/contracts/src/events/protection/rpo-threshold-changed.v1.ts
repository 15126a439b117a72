// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const rpoThresholdChangedV1 = defineEvent({
  context: 'protection',
  fact: 'rpo-threshold-changed',
  version: 1,
  summary: 'The RPO above which a plan raises an alert was changed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    rpoThresholdSeconds: z.int().positive(),
  }),
});
