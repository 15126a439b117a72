// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../../scalars';

export const changeSetAppliedV2 = defineEvent({
  context: 'replication',
  fact: 'change-set-applied',
  version: 2,
  summary: 'A change set was applied to the replica; everything up to `coveredTime` is in it.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    sequence: sequenceSchema,
    coveredTime: isoTimeSchema,
    appliedAt: isoTimeSchema,
  }),
});
