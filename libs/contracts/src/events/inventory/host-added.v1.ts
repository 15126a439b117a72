// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const hostAddedV1 = defineEvent({
  context: 'inventory',
  fact: 'host-added',
  version: 1,
  summary: 'A host was added to the inventory.',
  aggregateId: 'hostId',
  data: z.object({
    hostId: idSchema,
    name: z.string().min(1).max(200),
  }),
});
