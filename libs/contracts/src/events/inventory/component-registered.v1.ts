// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, roleSchema } from '../../scalars';

export const componentRegisteredV1 = defineEvent({
  context: 'inventory',
  fact: 'component-registered',
  version: 1,
  summary: 'A component started and said where it can be reached.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    role: roleSchema,
    version: z.string().min(1).max(64),
    hostName: z.string().min(1).max(255),
    url: z.url().optional(),
  }),
});
