// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const volumeRemovedV1 = defineEvent({
  context: 'inventory',
  fact: 'volume-removed',
  version: 1,
  summary: 'A volume was removed from the inventory.',
  aggregateId: 'volumeId',
  data: z.object({
    volumeId: idSchema,
    hostId: idSchema,
  }),
});
