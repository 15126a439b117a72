// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, countSchema, epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../scalars';
import { componentTelemetryShape, staySchema } from './component';

export const processServerPairTelemetrySchema = z.object({
  pairId: pairIdSchema,
  epoch: epochSchema.optional(),
  receivedSequence: sequenceSchema.optional(),
  forwardedSequence: sequenceSchema.describe('acknowledged by the master target'),
  spoolBytes: byteCountSchema,
  spoolSets: countSchema,
  oldestTime: isoTimeSchema.optional().describe('first write of the oldest set in the spool'),
  bytesPerSecond: z.number().nonnegative().optional().describe('of change sets that the master target took, uncompressed'),
  wireBytesPerSecond: z.number().nonnegative().optional().describe('of the same as they were sent'),
  stays: z
    .object({ answerSeconds: staySchema, holdSeconds: staySchema, transferSeconds: staySchema })
    .optional()
    .describe('of change sets: received until answered; received until sent; sent until answered by the master target'),
  flowControlled: z.boolean().optional().describe('the spool is full and the agent is held off'),
  sent: z
    .object({ contentBytes: byteCountSchema, referencedBytes: byteCountSchema.optional(), wireBytes: byteCountSchema })
    .optional()
    .describe('since it started: what change sets hold, what of it the master target took from its own replicas, and what crossed the link'),
  drained: countSchema.optional().describe('the move (see ProcessServerPair) with which the pair leaves this process server, once nothing is left here that the master target would take'),
  fault: z.object({ code: z.string(), hint: z.string() }).optional(),
});
export type ProcessServerPairTelemetry = z.infer<typeof processServerPairTelemetrySchema>;

export const processServerTelemetrySchema = z.object({
  role: z.literal('process-server'),
  ...componentTelemetryShape,
  pairs: z.array(processServerPairTelemetrySchema),
});
export type ProcessServerTelemetry = z.infer<typeof processServerTelemetrySchema>;
