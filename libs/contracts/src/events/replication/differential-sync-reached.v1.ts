// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../../scalars';

export const differentialSyncReachedV1 = defineEvent({
  context: 'replication',
  fact: 'differential-sync-reached',
  version: 1,
  summary: 'The replica is consistent; from here any write can be recovered to.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    sequence: sequenceSchema,
    coveredTime: isoTimeSchema,
  }),
});
