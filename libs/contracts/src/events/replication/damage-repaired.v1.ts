// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const damageRepairedV1 = defineEvent({
  context: 'replication',
  fact: 'damage-repaired',
  version: 1,
  summary: 'A damaged block of the replica was sent again by the source.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    offset: byteCountSchema,
    bytes: byteCountSchema,
    lostBefore: isoTimeSchema.optional().describe('what the block held before is not known: views of instants before this that need it refuse it; absent: no instant lacks anything'),
  }),
});
