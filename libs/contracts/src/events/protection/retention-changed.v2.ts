// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { retentionLadderSchema } from '../../retention';
import { idSchema } from '../../scalars';

export const retentionChangedV2 = defineEvent({
  context: 'protection',
  fact: 'retention-changed',
  version: 2,
  summary: 'The retention of a plan was changed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    retention: retentionLadderSchema,
  }),
});
