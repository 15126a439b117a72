// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { referenceSchema } from './fields';
import { defineRoute } from './route';

const targetMoveSchema = z
  .object({ pairId: z.string(), volumeName: z.string(), fromMasterTargetId: z.string(), toMasterTargetId: z.string() })
  .meta({ id: 'TargetMove' });

export const moveToMasterTarget = defineRoute({
  operationId: 'moveToMasterTarget', method: 'POST', path: '/v1/volumes/{volume}/master-target', tag: 'protection', access: 'admin', status: 200,
  summary: 'Move the pair of a volume to another master target: replica and recovery points are copied from target to target while replication goes on. The status shows the progress.',
  body: z.object({ masterTarget: referenceSchema }),
  response: targetMoveSchema,
});

export const cancelTargetMove = defineRoute({
  operationId: 'cancelTargetMove', method: 'DELETE', path: '/v1/volumes/{volume}/master-target', tag: 'protection', access: 'admin', status: 200,
  summary: 'Cancel the move of a pair that has not arrived yet: it stays where it is, and what was copied is deleted.',
  response: targetMoveSchema,
});
