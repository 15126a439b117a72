// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const targetMoveStartedV1 = defineEvent({
  context: 'protection',
  fact: 'target-move-started',
  version: 1,
  summary: 'A pair began to move to another master target.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    placement: z.int().positive().describe('number of the move; it grows with each move of the pair'),
    fromMasterTargetId: idSchema,
    toMasterTargetId: idSchema,
  }),
});
