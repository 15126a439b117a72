// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { pairIdSchema } from '../../scalars';

export const coldStoreRecoveredV1 = defineEvent({
  context: 'replication',
  fact: 'cold-store-recovered',
  version: 1,
  summary: 'The cold store works again for a pair.',
  aggregateId: 'pairId',
  data: z.object({ pairId: pairIdSchema, affects: z.enum(['moving', 'views', 'removal']), failedSeconds: z.number().nonnegative() }),
});
