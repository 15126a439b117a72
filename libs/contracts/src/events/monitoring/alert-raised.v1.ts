// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { alertKindSchema, idSchema } from '../../scalars';

export const alertRaisedV1 = defineEvent({
  context: 'monitoring',
  fact: 'alert-raised',
  version: 1,
  summary: 'Something needs attention.',
  aggregateId: 'subjectId',
  data: z.object({
    subjectId: idSchema,
    subjectKind: z.enum(['pair', 'component', 'plan']),
    subjectName: z.string().min(1).max(200),
    kind: alertKindSchema,
    severity: z.enum(['warning', 'critical']),
    words: z.string().min(1).max(500).describe('what is wrong'),
    hint: z.string().min(1).max(500).describe('what to do about it'),
  }),
});
