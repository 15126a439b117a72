// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, pairIdSchema } from '../../scalars';

export const viewClosedV1 = defineEvent({
  context: 'recovery',
  fact: 'view-closed',
  version: 1,
  summary: 'A view was closed; what was written to it is gone.',
  aggregateId: 'viewId',
  data: z.object({
    viewId: idSchema,
    pairId: pairIdSchema,
  }),
});
