// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { alertKindSchema, idSchema } from '../../scalars';

export const alertClearedV1 = defineEvent({
  context: 'monitoring',
  fact: 'alert-cleared',
  version: 1,
  summary: 'What needed attention has ended.',
  aggregateId: 'subjectId',
  data: z.object({
    subjectId: idSchema,
    subjectKind: z.enum(['pair', 'component', 'plan']),
    subjectName: z.string().min(1).max(200),
    kind: alertKindSchema,
  }),
});
