// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { timeSchema } from './fields';
import { pairStageSchema, rpoExplainedSchema } from './pairs';
import { defineRoute } from './route';

export const volumeRpoSchema = rpoExplainedSchema
  .extend({
    volumeId: z.string(), volumeName: z.string(), planName: z.string(), pairId: z.string(),
    stage: pairStageSchema,
    rpoSeconds: z.number().nullable().describe('null before the first recovery point'),
    measuredAt: timeSchema.optional().describe('when the oldest of the figures was measured'),
  })
  .meta({ id: 'VolumeRpo' });
export type VolumeRpo = z.infer<typeof volumeRpoSchema>;

export const explainRpo = defineRoute({
  operationId: 'explainRpo', method: 'GET', path: '/v1/volumes/{volume}/rpo', tag: 'observability', access: 'admin', status: 200,
  summary: 'The RPO of a volume explained: how many seconds are spent where, and the bottleneck in words.',
  response: volumeRpoSchema,
});
