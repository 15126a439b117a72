// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, pairIdSchema } from '../../scalars';

export const coldStoreFailedV1 = defineEvent({
  context: 'replication',
  fact: 'cold-store-failed',
  version: 1,
  summary: 'The cold store does not take segments of the retention journal, or does not give back what a view reads; replication goes on.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    affects: z.enum(['moving', 'views', 'removal']),
    code: z.string().min(1),
    reason: z.string().describe('what to do about it'),
    waitingBytes: byteCountSchema.describe('on the disk of the master target, and should be in the cold store'),
  }),
});
