// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, countSchema, epochSchema, idSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from '../scalars';
import { componentTelemetryShape, staySchema } from './component';

/** What a comparison with the replica found so far, in blocks of 64 KiB. */
export const resyncBlocksSchema = z.object({ compared: z.int().nonnegative(), sent: z.int().nonnegative(), skipped: z.int().nonnegative() });

export const agentVolumeTelemetrySchema = z.object({
  volumeId: idSchema,
  pairId: pairIdSchema.optional(),
  move: countSchema.optional().describe('see AgentPair; of the process server that change sets are sent to now'),
  sizeBytes: byteCountSchema.optional(),
  nbdUris: z.array(z.string()).default([]).describe('what the server uses as its disk; unix socket first'),
  mode: z.enum(['data', 'bitmap', 'resync-required', 'unprotected']),
  epoch: epochSchema,
  sequence: sequenceSchema.describe('newest sealed change set of the epoch'),
  lastWriteTime: isoTimeSchema.optional(),
  heldBytes: byteCountSchema.describe('sealed or not, not yet durable at the process server'),
  dirtyBytes: byteCountSchema.describe('still to be resynchronised'),
  resync: z
    .object({
      doneBytes: byteCountSchema, totalBytes: byteCountSchema, bytesPerSecond: z.number().nonnegative().optional(), finishSeconds: z.number().nonnegative().optional(),
      blocks: resyncBlocksSchema.optional().describe('absent: nothing is compared'),
    })
    .optional(),
  writesPerSecond: z.number().nonnegative(),
  bytesPerSecond: z.number().nonnegative(),
  flowControlled: z.boolean(),
  stays: z
    .object({ gatherSeconds: staySchema, queueSeconds: staySchema, sendSeconds: staySchema })
    .optional()
    .describe('of change sets: first write until sealed, until sent, until answered'),
  shippedBytesPerSecond: z.number().nonnegative().optional(),
  /** Last thing that went wrong and still does; absent when all is well. */
  fault: z.object({ code: z.string(), hint: z.string() }).optional(),
});
export type AgentVolumeTelemetry = z.infer<typeof agentVolumeTelemetrySchema>;

export const agentTelemetrySchema = z.object({
  role: z.literal('agent'),
  ...componentTelemetryShape,
  volumes: z.array(agentVolumeTelemetrySchema),
});
export type AgentTelemetry = z.infer<typeof agentTelemetrySchema>;
