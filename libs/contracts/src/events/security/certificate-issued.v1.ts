// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, roleSchema } from '../../scalars';

export const certificateIssuedV1 = defineEvent({
  context: 'security',
  fact: 'certificate-issued',
  version: 1,
  summary: 'A component got its first certificate.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    role: roleSchema,
    serial: z.string().min(1).max(80),
    notBefore: isoTimeSchema,
    expiresAt: isoTimeSchema,
  }),
});
