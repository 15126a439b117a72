// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { componentSchema } from './components';
import { timeSchema } from './fields';
import { pairStatusSchema } from './pairs';
import { historyEntrySchema } from './plans';
import { defineRoute } from './route';

export const alarmSchema = z
  .object({ kind: z.enum(['stalled', 'resync-required', 'retention-short', 'component-silent']), subject: z.string(), since: timeSchema, words: z.string() })
  .meta({ id: 'Alarm' });
export type Alarm = z.infer<typeof alarmSchema>;

export const clusterStatusSchema = z
  .object({
    generatedAt: timeSchema,
    tenantId: z.string(),
    components: z.array(componentSchema),
    plans: z.array(z.object({ planId: z.string(), name: z.string(), state: z.enum(['active', 'paused', 'removed']), pairCount: z.number().int(), rpoSeconds: z.number().nullable() })),
    pairs: z.array(pairStatusSchema),
    alarms: z.array(alarmSchema),
  })
  .meta({ id: 'ClusterStatus' });
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

export const getStatus = defineRoute({
  operationId: 'getStatus', method: 'GET', path: '/v1/status', tag: 'observability', access: 'admin', status: 200,
  summary: 'Everything at a glance: components, plans, pairs with stage, RPO and data in transit, alarms.',
  response: clusterStatusSchema,
});

export const listEvents = defineRoute({
  operationId: 'listEvents', method: 'GET', path: '/v1/events', tag: 'observability', access: 'admin', status: 200,
  summary: 'The newest facts of all kinds, newest first: the audit log.',
  query: z.object({
    context: z.enum(['inventory', 'security', 'protection', 'replication', 'recovery']).optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
  }),
  response: z.object({ entries: z.array(historyEntrySchema) }),
});
