// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const planPausedV1 = defineEvent({
  context: 'protection',
  fact: 'plan-paused',
  version: 1,
  summary: 'Replication of a plan was paused.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
  }),
});
