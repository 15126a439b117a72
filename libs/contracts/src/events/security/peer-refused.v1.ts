// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, roleSchema } from '../../scalars';

export const peerRefusedV1 = defineEvent({
  context: 'security',
  fact: 'peer-refused',
  version: 1,
  summary: 'A component refused a peer whose certificate is foreign or not allowed.',
  aggregateId: 'componentId',
  data: z.object({
    componentId: idSchema,
    role: roleSchema,
    code: z.string().min(1).max(100),
    reason: z.string().min(1).max(500),
    peer: z.string().max(300).optional(),
    remoteAddress: z.string().max(100).optional(),
  }),
});
