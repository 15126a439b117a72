// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, idSchema, pairIdSchema, sequenceSchema } from '../../scalars';

export const changeSetRefusedV1 = defineEvent({
  context: 'replication',
  fact: 'change-set-refused',
  version: 1,
  summary: 'A change set was refused for good and kept aside where it was whole.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    sequence: sequenceSchema,
    code: z.string().min(1).max(100),
    reason: z.string().min(1).max(500),
    componentId: idSchema,
  }),
});
