// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const processServerLeftV1 = defineEvent({
  context: 'protection',
  fact: 'process-server-left',
  version: 1,
  summary: 'A pair has left its old process server.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    fromId: idSchema,
    move: z.int().positive(),
    outcome: z.enum(['drained', 'given-up']).describe('given-up: what only the old process server held is read again from the source'),
    reason: z.string().min(1).max(500).optional().describe('why it was not waited for'),
  }),
});
