// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { prioritySchema } from '../../bandwidth';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const hostPriorityChangedV1 = defineEvent({
  context: 'inventory',
  fact: 'host-priority-changed',
  version: 1,
  summary: 'The replication priority of a host was changed.',
  aggregateId: 'hostId',
  data: z.object({
    hostId: idSchema,
    priority: prioritySchema,
  }),
});
