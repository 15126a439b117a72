// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const volumeUnprotectedV1 = defineEvent({
  context: 'protection',
  fact: 'volume-unprotected',
  version: 1,
  summary: 'A volume left a plan.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    volumeId: idSchema,
    pairId: pairIdSchema,
    deleteData: z.boolean(),
  }),
});
