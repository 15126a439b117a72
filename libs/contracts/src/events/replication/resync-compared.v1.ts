// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { epochSchema, pairIdSchema } from '../../scalars';

const blocksSchema = z.int().nonnegative();

export const resyncComparedV1 = defineEvent({
  context: 'replication',
  fact: 'resync-compared',
  version: 1,
  summary: 'All dirty regions were compared with the replica; only blocks that differ were sent.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    comparedBlocks: blocksSchema,
    sentBlocks: blocksSchema.describe('different, or sent without asking because most of their neighbours were'),
    skippedBlocks: blocksSchema.describe('compared, and the same'),
    blockBytes: z.int().positive(),
  }),
});
