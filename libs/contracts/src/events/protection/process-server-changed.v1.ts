// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const processServerChangedV1 = defineEvent({
  context: 'protection',
  fact: 'process-server-changed',
  version: 1,
  summary: 'A pair moves to another process server.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    fromId: idSchema,
    toId: idSchema,
    move: z.int().positive().describe('the number of such moves of this pair, this one included'),
  }),
});
