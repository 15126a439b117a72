// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { timeSchema } from './fields';
import { defineRoute } from './route';

/** Something that needs attention now. */
export const alertSchema = z
  .object({
    kind: z.string().describe('stalled, resync-required, volume-shrunk, bitmap-mode, flow-control, rpo-exceeded, retention-window-low, cold-store-failed, component-silent, disk-space-low, bookmark-failed'),
    severity: z.enum(['warning', 'critical']),
    subjectKind: z.enum(['pair', 'component', 'plan']),
    subjectId: z.string(),
    subject: z.string().describe('name of the volume, component or plan'),
    since: timeSchema,
    words: z.string().describe('what is wrong'),
    hint: z.string().describe('what to do about it'),
  })
  .meta({ id: 'Alert' });
export type Alert = z.infer<typeof alertSchema>;

export const listAlerts = defineRoute({
  operationId: 'listAlerts', method: 'GET', path: '/v1/alerts', tag: 'observability', access: 'admin', status: 200,
  summary: 'What is wrong now, oldest first, each with what to do about it.',
  response: z.object({ alerts: z.array(alertSchema) }),
});
