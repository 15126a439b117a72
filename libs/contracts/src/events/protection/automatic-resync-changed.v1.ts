// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { automaticResyncSchema } from '../../automatic-resync';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const automaticResyncChangedV1 = defineEvent({
  context: 'protection',
  fact: 'automatic-resync-changed',
  version: 1,
  summary: 'When the pairs of a plan resynchronise by themselves was changed.',
  aggregateId: 'planId',
  data: z.object({ planId: idSchema, automaticResync: automaticResyncSchema }),
});
