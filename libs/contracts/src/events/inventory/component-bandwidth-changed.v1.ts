// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { bandwidthSchema } from '../../bandwidth';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const componentBandwidthChangedV1 = defineEvent({
  context: 'inventory',
  fact: 'component-bandwidth-changed',
  version: 1,
  summary: 'The bandwidth limit of a master target was changed.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    bandwidth: bandwidthSchema.optional().describe('absent: no limit'),
  }),
});
