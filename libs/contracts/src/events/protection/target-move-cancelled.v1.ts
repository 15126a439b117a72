// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const targetMoveCancelledV1 = defineEvent({
  context: 'protection',
  fact: 'target-move-cancelled',
  version: 1,
  summary: 'The move of a pair was cancelled; it stays where it is.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    placement: z.int().positive().describe('number of the move; it grows with each move of the pair'),
    fromMasterTargetId: idSchema,
    toMasterTargetId: idSchema,
  }),
});
