// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const hostRemovedV1 = defineEvent({
  context: 'inventory',
  fact: 'host-removed',
  version: 1,
  summary: 'A host was removed from the inventory.',
  aggregateId: 'hostId',
  data: z.object({
    hostId: idSchema,
  }),
});
