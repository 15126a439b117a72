// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { resyncCauseSchema, resyncWorkSchema } from '../../resync-choice';
import { byteCountSchema, epochSchema, pairIdSchema } from '../../scalars';

export const resyncChosenV1 = defineEvent({
  context: 'replication',
  fact: 'resync-chosen',
  version: 1,
  summary: 'A pair goes on after an interruption.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    work: resyncWorkSchema,
    cause: resyncCauseSchema,
    resyncBytes: byteCountSchema.describe('in regions that are read again'),
    volumeBytes: byteCountSchema,
    detail: z.string().min(1).max(500).optional().describe('what whoever noticed it said'),
  }),
});
