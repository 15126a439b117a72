// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { retentionReportSchema } from '../retention';
import { scrubReportSchema } from '../scrub';
import { byteCountSchema, countSchema, epochSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../scalars';
import { componentTelemetryShape, staySchema } from './component';

export const masterTargetPairTelemetrySchema = z.object({
  pairId: pairIdSchema,
  epoch: epochSchema,
  receivedSequence: sequenceSchema,
  appliedSequence: sequenceSchema,
  coveredTime: isoTimeSchema.optional().describe('every write up to it is in the replica; absent before the first'),
  cacheBytes: byteCountSchema,
  stage: z.enum(['resync-step-1', 'resync-step-2', 'differential-sync']),
  green: z.boolean().describe('any write can be recovered now'),
  journalBytes: byteCountSchema,
  earliestPoint: isoTimeSchema.optional(),
  latestPoint: isoTimeSchema.optional(),
  retention: retentionReportSchema.optional(),
  scrub: scrubReportSchema.optional(),
  views: countSchema,
  bytesPerSecond: z.number().nonnegative().optional(),
  stays: z
    .object({ answerSeconds: staySchema, queueSeconds: staySchema, applySeconds: staySchema })
    .optional()
    .describe('of change sets: received until answered; received until its turn to be applied; until applied'),
  fault: z.object({ code: z.string(), hint: z.string() }).optional(),
});
export type MasterTargetPairTelemetry = z.infer<typeof masterTargetPairTelemetrySchema>;

/** A pair that moves here. */
export const pairArrivalTelemetrySchema = z.object({
  pairId: pairIdSchema,
  placement: countSchema.describe('number of the move'),
  state: z.enum(['copying', 'taking-over', 'complete']).describe('taking-over: the other target takes nothing more; complete: all of it is durable here'),
  copiedBytes: byteCountSchema,
  totalBytes: byteCountSchema.describe('grows with what is applied at the other target meanwhile'),
  finishSeconds: z.number().nonnegative().optional(),
  fault: z.object({ code: z.string(), hint: z.string() }).optional(),
});
export type PairArrivalTelemetry = z.infer<typeof pairArrivalTelemetrySchema>;

export const masterTargetTelemetrySchema = z.object({
  role: z.literal('master-target'),
  ...componentTelemetryShape,
  pairs: z.array(masterTargetPairTelemetrySchema),
  arrivals: z.array(pairArrivalTelemetrySchema).optional(),
});
export type MasterTargetTelemetry = z.infer<typeof masterTargetTelemetrySchema>;
