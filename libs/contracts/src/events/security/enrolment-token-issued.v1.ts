// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, roleSchema } from '../../scalars';

export const enrolmentTokenIssuedV1 = defineEvent({
  context: 'security',
  fact: 'enrolment-token-issued',
  version: 1,
  summary: 'A one-time enrolment token was issued.',
  aggregateId: 'tokenId',
  data: z.object({
    tokenId: idSchema,
    role: roleSchema,
    name: z.string().min(1).max(200).optional(),
    hostId: idSchema.optional(),
    expiresAt: isoTimeSchema,
  }),
});
