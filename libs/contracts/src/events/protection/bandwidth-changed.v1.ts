// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bandwidthSchema } from '../../bandwidth';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const bandwidthChangedV1 = defineEvent({
  context: 'protection',
  fact: 'bandwidth-changed',
  version: 1,
  summary: 'The bandwidth limit of a plan was changed.',
  aggregateId: 'planId',
  data: z.object({
    planId: idSchema,
    bandwidth: bandwidthSchema.optional().describe('absent: no limit'),
  }),
});
