// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, idSchema, pairIdSchema } from '../../scalars';

export const pairCreatedV1 = defineEvent({
  context: 'protection',
  fact: 'pair-created',
  version: 1,
  summary: 'A replication pair was created and placed.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    volumeId: idSchema,
    volumeName: z.string().min(1).max(200),
    hostId: idSchema,
    processServerId: idSchema,
    masterTargetId: idSchema,
    sizeBytes: byteCountSchema,
  }),
});
