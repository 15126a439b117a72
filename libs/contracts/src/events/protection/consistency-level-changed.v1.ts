// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { consistencyLevelSchema } from '../../bookmark-level';
import { defineEvent } from '../../define-event';
import { idSchema } from '../../scalars';

export const consistencyLevelChangedV1 = defineEvent({
  context: 'protection',
  fact: 'consistency-level-changed',
  version: 1,
  summary: 'The level of the periodic bookmarks of a plan was changed; crash until then.',
  aggregateId: 'planId',
  data: z.object({ planId: idSchema, consistencyLevel: consistencyLevelSchema }),
});
