// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { pairIdSchema } from '../../scalars';

export const resyncRequiredV1 = defineEvent({
  context: 'replication',
  fact: 'resync-required',
  version: 1,
  summary: 'A pair cannot go on without a resync.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    reason: z.string().min(1).max(500),
  }),
});
