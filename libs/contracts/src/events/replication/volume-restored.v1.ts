// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, pairIdSchema } from '../../scalars';

export const volumeRestoredV1 = defineEvent({
  context: 'replication',
  fact: 'volume-restored',
  version: 1,
  summary: 'The source of a volume has its size again.',
  aggregateId: 'pairId',
  data: z.object({ pairId: pairIdSchema, volumeBytes: byteCountSchema }),
});
