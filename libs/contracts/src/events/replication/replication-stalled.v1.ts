// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { isoTimeSchema, pairIdSchema } from '../../scalars';

export const replicationStalledV1 = defineEvent({
  context: 'replication',
  fact: 'replication-stalled',
  version: 1,
  summary: 'The replica has not advanced for longer than allowed.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    stalledSeconds: z.number().nonnegative(),
    coveredTime: isoTimeSchema.optional(),
    waitsAt: z.enum(['agent', 'process-server', 'master-target', 'unknown']),
    reason: z.string().min(1).max(500),
  }),
});
