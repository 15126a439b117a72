// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const pairRemovedV1 = defineEvent({
  context: 'protection',
  fact: 'pair-removed',
  version: 1,
  summary: 'A replication pair was removed.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    deleteData: z.boolean(),
  }),
});
