// SPDX-License-Identifier: Apache-2.0
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import { z } from 'zod';
import { byteCountSchema, epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../scalars';
import { defineOperation } from './define-operation';

export const quarantinedSetSchema = z.object({
  pairId: pairIdSchema,
  epoch: epochSchema,
  sequence: sequenceSchema,
  bytes: byteCountSchema,
  reason: z.string().optional(),
  keptAt: isoTimeSchema.optional(),
});
export type QuarantinedSet = z.infer<typeof quarantinedSetSchema>;

/** A set that a component keeps, as it is told. */
export function quarantinedSet(set: {
  readonly pairId: string; readonly epoch: number; readonly sequence: number; readonly bytes: number; readonly reason: string | undefined; readonly keptAt: TimeMicros | undefined;
}): QuarantinedSet {
  const { reason, keptAt, ...rest } = set;
  return { ...rest, ...(reason === undefined ? {} : { reason }), ...(keptAt === undefined ? {} : { keptAt: isoFromMicros(keptAt) }) };
}

const request = z.object({ pairIds: z.array(pairIdSchema).min(1) });
const reply = z.object({ sets: z.array(quarantinedSetSchema) });
const summary = 'Change sets of pairs that this component refused and kept aside.';

export const quarantineAtProcessServerOperation = defineOperation({ role: 'process-server', name: 'list-quarantine', summary, request, reply });
export const quarantineAtMasterTargetOperation = defineOperation({ role: 'master-target', name: 'list-quarantine', summary, request, reply });
