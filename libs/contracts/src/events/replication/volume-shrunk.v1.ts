// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, pairIdSchema } from '../../scalars';

export const volumeShrunkV1 = defineEvent({
  context: 'replication',
  fact: 'volume-shrunk',
  version: 1,
  summary: 'The source of a volume became smaller than the volume: refused, the volume keeps its size and reads as zeros there.',
  aggregateId: 'pairId',
  data: z.object({ pairId: pairIdSchema, volumeBytes: byteCountSchema, sourceBytes: byteCountSchema }),
});
