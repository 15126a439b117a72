// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const enrolmentRefusedV1 = defineEvent({
  context: 'security',
  fact: 'enrolment-refused',
  version: 1,
  summary: 'An enrolment was refused.',
  aggregateId: 'refusalId',
  data: z.object({
    refusalId: idSchema,
    reason: z.enum(['token-unknown', 'token-used', 'token-expired', 'role-mismatch', 'request-invalid']),
    tokenId: idSchema.optional(),
    remoteAddress: z.string().max(100).optional(),
  }),
});
