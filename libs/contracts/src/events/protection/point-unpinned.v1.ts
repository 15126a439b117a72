// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const pointUnpinnedV1 = defineEvent({
  context: 'protection',
  fact: 'point-unpinned',
  version: 1,
  summary: 'A pinned recovery point was let go: retention may drop it.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    pinId: idSchema,
    name: z.string().min(1).max(200),
  }),
});
