// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { timeSchema } from './fields';
import { defineRoute } from './route';

export const traceHopSchema = z.object({
  hop: z.enum(['first-write', 'cut', 'sent', 'answered', 'spool-durable', 'forwarded', 'cache-durable', 'undo-durable', 'applied']),
  component: z.string().describe('role and id'),
  at: timeSchema,
  sinceFirstMillis: z.number(),
});

/** One change set on its way from the agent to the replica. Hops that were not reached yet, or are no longer remembered, are missing. */
export const changeSetTraceSchema = z
  .object({
    volumeId: z.string(), volumeName: z.string(), pairId: z.string(),
    epoch: z.number().int(), sequence: z.number().int(),
    storedBytes: z.number().int().optional(), entryCount: z.number().int().optional(),
    traceId: z.string().optional(),
    hops: z.array(traceHopSchema),
    silent: z.array(z.string()).describe('components that did not answer'),
  })
  .meta({ id: 'ChangeSetTrace' });
export type ChangeSetTrace = z.infer<typeof changeSetTraceSchema>;

export const traceVolume = defineRoute({
  operationId: 'traceVolume', method: 'GET', path: '/v1/volumes/{volume}/trace', tag: 'observability', access: 'admin', status: 200,
  summary: 'Follow one change set of a volume through agent, process server and master target; the newest applied one unless epoch and sequence are given.',
  query: z.object({ epoch: z.coerce.number().int().min(1).optional(), sequence: z.coerce.number().int().min(1).optional() }),
  response: changeSetTraceSchema,
});
