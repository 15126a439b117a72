// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { pairIdSchema } from '../scalars';
import { defineOperation } from './define-operation';

export const scrubOperation = defineOperation({
  role: 'master-target',
  name: 'scrub-pair',
  summary: 'Begin now to read replica and journal of a pair again; one that is being read goes on.',
  request: z.object({ pairId: pairIdSchema }),
  reply: z.object({}),
});
