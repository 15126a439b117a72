// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema, isoTimeSchema, pairIdSchema } from '../../scalars';

export const viewOpenedV1 = defineEvent({
  context: 'recovery',
  fact: 'view-opened',
  version: 1,
  summary: 'A view was opened.',
  aggregateId: 'viewId',
  data: z.object({
    viewId: idSchema,
    pairId: pairIdSchema,
    volumeId: idSchema,
    pointTime: isoTimeSchema,
    readWrite: z.boolean(),
    nbdUris: z.array(z.string().min(1)),
  }),
});
