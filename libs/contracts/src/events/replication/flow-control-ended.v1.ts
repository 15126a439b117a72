// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { pairIdSchema } from '../../scalars';

export const flowControlEndedV1 = defineEvent({
  context: 'replication',
  fact: 'flow-control-ended',
  version: 1,
  summary: 'The agent may send again.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    seconds: z.number().nonnegative(),
  }),
});
