// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, pairIdSchema, sequenceSchema } from '../../scalars';

export const resyncReadV1 = defineEvent({
  context: 'replication',
  fact: 'resync-read',
  version: 1,
  summary: 'All dirty regions were read: resync step 2 began.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    sequence: sequenceSchema,
  }),
});
