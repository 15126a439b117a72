// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, idSchema, pairIdSchema, sequenceSchema } from '../../scalars';

export const processServerSwitchedV1 = defineEvent({
  context: 'protection',
  fact: 'process-server-switched',
  version: 1,
  summary: 'The agent of a pair that moves sends to the new process server; the old one drains its spool.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    planId: idSchema,
    toId: idSchema,
    move: z.int().positive(),
    epoch: epochSchema,
    sequence: sequenceSchema.describe('newest change set of the epoch when that was seen'),
  }),
});
