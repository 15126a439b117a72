// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const deduplicationChangedV1 = defineEvent({
  context: 'protection',
  fact: 'deduplication-changed',
  version: 1,
  summary: 'Whether blocks that the master target has are sent as references was changed for a plan; off until then.',
  aggregateId: 'planId',
  data: z.object({ planId: idSchema, deduplication: z.boolean() }),
});
