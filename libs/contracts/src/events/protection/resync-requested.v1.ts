// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { pairIdSchema } from '../../scalars';

export const resyncRequestedV1 = defineEvent({
  context: 'protection',
  fact: 'resync-requested',
  version: 1,
  summary: 'An operator asked for a resync of the whole volume.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    request: z.int().positive().describe('the number of such requests for this pair, this one included'),
  }),
});
