// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const targetMovedV1 = defineEvent({
  context: 'protection',
  fact: 'target-moved',
  version: 1,
  summary: 'A pair moved to another master target.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    placement: z.int().positive().describe('number of the move; it grows with each move of the pair'),
    fromMasterTargetId: idSchema,
    toMasterTargetId: idSchema,
  }),
});
