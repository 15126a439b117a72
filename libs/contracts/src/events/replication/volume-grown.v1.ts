// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, pairIdSchema } from '../../scalars';

export const volumeGrownV1 = defineEvent({
  context: 'replication',
  fact: 'volume-grown',
  version: 1,
  summary: 'The source of a volume grew, and so does its replica; the new part is read.',
  aggregateId: 'pairId',
  data: z.object({ pairId: pairIdSchema, fromBytes: byteCountSchema, toBytes: byteCountSchema }),
});
