// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, idSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const damageFoundV1 = defineEvent({
  context: 'replication',
  fact: 'damage-found',
  version: 1,
  summary: 'A disk returned other bytes than were written to it.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    place: z.enum(['replica', 'journal', 'spool']),
    componentId: idSchema,
    bytes: byteCountSchema.describe('as far as a checksum reaches'),
    offset: byteCountSchema.optional().describe('of the replica: where; the source sends it again'),
    file: z.string().max(100).optional().describe('of the journal'),
    before: isoTimeSchema.optional().describe('of the journal: views of instants before this that need these bytes refuse them, and serve everything else'),
  }),
});
