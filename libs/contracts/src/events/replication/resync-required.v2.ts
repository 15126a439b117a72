// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { resyncWorkSchema } from '../../resync-choice';
import { pairIdSchema } from '../../scalars';

export const resyncRequiredV2 = defineEvent({
  context: 'replication',
  fact: 'resync-required',
  version: 2,
  summary: 'A pair cannot go on without a resync.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    reason: z.string().min(1).max(500),
    work: resyncWorkSchema.exclude(['nothing']).describe('regions: it repairs itself; whole: everything has to be read, when the configuration server says so'),
  }),
});
