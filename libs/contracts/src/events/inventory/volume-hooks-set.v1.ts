// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { defineEvent } from '../../define-event';
import { freezeHooksSchema } from '../../freeze-hooks';
import { idSchema } from '../../scalars';

export const volumeHooksSetV1 = defineEvent({
  context: 'inventory',
  fact: 'volume-hooks-set',
  version: 1,
  summary: 'What stands still while a volume is cut was chosen; empty: nothing.',
  aggregateId: 'volumeId',
  data: z.object({ volumeId: idSchema, hooks: freezeHooksSchema }),
});
