// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, epochSchema, pairIdSchema } from '../../scalars';

export const resyncStartedV1 = defineEvent({
  context: 'replication',
  fact: 'resync-started',
  version: 1,
  summary: 'Resync step 1 of a pair began.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    reason: z.enum(['baseline', 'bitmap-mode', 'restart', 'gap', 'requested']),
    dirtyBytes: byteCountSchema,
    totalBytes: byteCountSchema,
  }),
});
