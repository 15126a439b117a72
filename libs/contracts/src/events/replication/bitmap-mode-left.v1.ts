// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { byteCountSchema, epochSchema, pairIdSchema } from '../../scalars';

export const bitmapModeLeftV1 = defineEvent({
  context: 'replication',
  fact: 'bitmap-mode-left',
  version: 1,
  summary: 'Data mode again; the dirty regions are resynchronised.',
  aggregateId: 'pairId',
  data: z.object({
    pairId: pairIdSchema,
    epoch: epochSchema,
    dirtyBytes: byteCountSchema,
  }),
});
