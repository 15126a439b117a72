// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, pairIdSchema } from '../../scalars';

export const bitmapModeEnteredV1 = defineEvent({
  context: 'replication',
  fact: 'bitmap-mode-entered',
  version: 1,
  summary: 'Write order is no longer kept; only which regions changed.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    reason: z.enum(['buffer-full', 'process-server-unreachable', 'flow-controlled', 'requested']),
  }),
});
