// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, pairIdSchema } from '../../scalars';

export const flowControlStartedV1 = defineEvent({
  context: 'replication',
  fact: 'flow-control-started',
  version: 1,
  summary: 'The process server holds the agent off.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    heldBytes: byteCountSchema,
  }),
});
