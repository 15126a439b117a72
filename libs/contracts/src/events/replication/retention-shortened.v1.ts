// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const retentionShortenedV1 = defineEvent({
  context: 'replication',
  fact: 'retention-shortened',
  version: 1,
  summary: 'Space for the retention journal ran out; the oldest recovery points of the promised window were dropped.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    cause: z.enum(['space-limit', 'disk-full']),
    promisedSeconds: z.number().nonnegative(),
    availableSeconds: z.number().nonnegative(),
    journalBytes: byteCountSchema,
    earliestPoint: isoTimeSchema.optional(),
  }),
});
