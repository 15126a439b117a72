// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, countSchema, epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../scalars';
import { defineOperation } from './define-operation';

export const changeSetHopSchema = z.object({
  hop: z.enum(['first-write', 'cut', 'sent', 'answered', 'spool-durable', 'forwarded', 'cache-durable', 'undo-durable', 'applied']),
  at: isoTimeSchema,
});
export type ChangeSetHop = z.infer<typeof changeSetHopSchema>;

/** Without epoch and sequence: the newest change set that passed all hops of the component. Components remember the last few hundred per pair. */
const request = z.object({ pairId: pairIdSchema, epoch: epochSchema.optional(), sequence: sequenceSchema.optional() });

export const changeSetHopsSchema = z.object({
  pairId: pairIdSchema,
  epoch: epochSchema,
  sequence: sequenceSchema,
  storedBytes: byteCountSchema.optional(),
  entryCount: countSchema.optional(),
  traceId: z.string().regex(/^[0-9a-f]{32}$/).optional(),
  hops: z.array(changeSetHopSchema),
});
export type ChangeSetHops = z.infer<typeof changeSetHopsSchema>;

const reply = z.object({ changeSet: changeSetHopsSchema.optional().describe('absent: not remembered') });
const summary = 'When a change set passed the hops of this component.';

export const traceAtAgentOperation = defineOperation({ role: 'agent', name: 'trace-change-set', summary, request, reply });
export const traceAtProcessServerOperation = defineOperation({ role: 'process-server', name: 'trace-change-set', summary, request, reply });
export const traceAtMasterTargetOperation = defineOperation({ role: 'master-target', name: 'trace-change-set', summary, request, reply });
