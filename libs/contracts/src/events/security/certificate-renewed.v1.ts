// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, roleSchema } from '../../scalars';

export const certificateRenewedV1 = defineEvent({
  context: 'security',
  fact: 'certificate-renewed',
  version: 1,
  summary: 'A component renewed its certificate before it expired.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    role: roleSchema,
    serial: z.string().min(1).max(80),
    previousSerial: z.string().min(1).max(80).optional(),
    expiresAt: isoTimeSchema,
  }),
});
