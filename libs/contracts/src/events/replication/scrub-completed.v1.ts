// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const scrubCompletedV1 = defineEvent({
  context: 'replication',
  fact: 'scrub-completed',
  version: 1,
  summary: 'Replica and retention journal of a pair were read again and compared with their checksums.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    startedAt: isoTimeSchema,
    endedAt: isoTimeSchema,
    readBytes: byteCountSchema.describe('holes are not read'),
    damagedBytes: byteCountSchema,
  }),
});
