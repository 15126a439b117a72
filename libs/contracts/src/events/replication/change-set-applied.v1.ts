// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { pairIdSchema, sequenceSchema } from '../../scalars';

export const changeSetAppliedV1 = defineEvent({
  context: 'replication',
  fact: 'change-set-applied',
  version: 1,
  summary: 'A change set was applied to the replica.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    sequence: sequenceSchema,
    rpoSeconds: z.number().nonnegative(),
  }),
});
