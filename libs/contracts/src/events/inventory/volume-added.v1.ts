// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, idSchema } from '../../scalars';
import { tapSchema } from '../../tap';

export const volumeAddedV1 = defineEvent({
  context: 'inventory',
  fact: 'volume-added',
  version: 1,
  summary: 'A volume of a host was added.',
  aggregateId: 'volumeId',
  data: z.object({
    volumeId: idSchema,
    hostId: idSchema,
    name: z.string().min(1).max(200),
    tap: tapSchema,
    sizeBytes: byteCountSchema.optional(),
  }),
});
