// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, roleSchema } from '../../scalars';

export const componentEnrolledV1 = defineEvent({
  context: 'inventory',
  fact: 'component-enrolled',
  version: 1,
  summary: 'A component got its identity with a one-time token.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    role: roleSchema,
    name: z.string().min(1).max(200),
    hostId: idSchema.optional(),
    expiresAt: isoTimeSchema,
  }),
});
