// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const volumeProtectedV1 = defineEvent({
  context: 'protection',
  fact: 'volume-protected',
  version: 1,
  summary: 'A volume joined a plan; its pair is named.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    volumeId: idSchema,
    hostId: idSchema,
    pairId: pairIdSchema,
  }),
});
