// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { isoTimeSchema, pairIdSchema } from '../../scalars';

export const replicationRecoveredV1 = defineEvent({
  context: 'replication',
  fact: 'replication-recovered',
  version: 1,
  summary: 'A stalled pair advances again.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    stalledSeconds: z.number().nonnegative(),
    coveredTime: isoTimeSchema,
  }),
});
