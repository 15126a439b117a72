// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { resyncCauseSchema, resyncWorkSchema } from '../resync-choice';
import { retentionReportSchema } from '../retention';
import { scrubReportSchema } from '../scrub';
import { bytesSchema, timeSchema } from './fields';

export const pairStageSchema = z.enum(['queued', 'resync-step-1', 'resync-step-2', 'differential-sync']);
/** `marks-not-durable`: writes go on without marks in the write-intent bitmap, whose disk fails or hangs; after a crash of the agent the whole volume is compared. */
export const pairFlagSchema = z.enum(['paused', 'flow-controlled', 'bitmap-mode', 'resync-required', 'stalled', 'marks-not-durable']);

/** Where the seconds of an RPO are spent. Each was measured by one component with its own clock. */
export const rpoExplainedSchema = z
  .object({
    spent: z
      .array(z.object({ place: z.enum(['capture', 'agent-queue', 'link-to-process-server', 'spool', 'wan', 'target-queue', 'apply']), seconds: z.number() }))
      .describe('in the order of the way of a change set'),
    otherSeconds: z.number().describe('what is left of the RPO, mostly the time until an idle volume says again that nothing was written'),
    bottleneck: z.enum(['nowhere', 'paused', 'resynchronisation', 'agent', 'link-to-process-server', 'process-server', 'wan', 'master-target']),
    words: z.string().describe('what to look at first'),
  })
  .meta({ id: 'RpoExplained' });
export type RpoExplained = z.infer<typeof rpoExplainedSchema>;

/** Live status of a replication pair, never older than 2 s while its components are heard. */
export const pairStatusSchema = z
  .object({
    pairId: z.string(),
    planId: z.string(),
    planName: z.string(),
    volumeId: z.string(),
    volumeName: z.string(),
    hostId: z.string(),
    hostName: z.string(),
    processServerId: z.string(),
    masterTargetId: z.string(),
    stage: pairStageSchema,
    flags: z.array(pairFlagSchema),
    progress: z
      .object({
        doneBytes: bytesSchema, totalBytes: bytesSchema, percent: z.number(), bytesPerSecond: z.number().optional(), finishSeconds: z.number().optional(),
        blocks: z.object({ compared: z.number().int(), sent: z.number().int(), skipped: z.number().int() }).optional()
          .describe('of 64 KiB: compared with the replica by checksum, sent, and skipped because they are the same'),
      })
      .optional()
      .describe('of a resynchronisation that is going on'),
    resyncWait: z
      .object({ place: z.number().int().optional().describe('of the queue; 1 is the next'), notBefore: timeSchema.optional().describe('when it begins by itself'), words: z.string() })
      .optional()
      .describe('why its whole volume is not read now although it has to be'),
    targetMove: z
      .object({
        toMasterTargetId: z.string(),
        state: z.enum(['waiting', 'copying', 'taking-over', 'complete']).describe('waiting: the other master target has not begun'),
        copiedBytes: bytesSchema, totalBytes: bytesSchema, percent: z.number(), finishSeconds: z.number().optional(), words: z.string(),
      })
      .optional()
      .describe('to another master target, while it goes on'),
    lastResync: z
      .object({
        at: timeSchema, work: resyncWorkSchema, cause: resyncCauseSchema, resyncBytes: bytesSchema, volumeBytes: bytesSchema, detail: z.string().optional(),
        words: z.string(),
      })
      .optional()
      .describe('what the pair chose to do after its last interruption, and why'),
    move: z
      .object({
        fromId: z.string(), toId: z.string(), since: timeSchema,
        step: z.enum(['switching', 'draining']).describe('switching: the agent still sends to the old process server; draining: that one forwards what it has left'),
        leftBytes: bytesSchema.optional().describe('in the spool of the old process server; absent: it is not heard'),
        giveUpAt: timeSchema.optional().describe('when it is not waited for any more, because it is not heard'),
        words: z.string(),
      })
      .optional()
      .describe('the pair moves to another process server'),
    rpoSeconds: z.number().nullable().describe('now minus the time covered at the target; null before the first recovery point'),
    rpoExplained: rpoExplainedSchema,
    coveredTime: timeSchema.optional(),
    green: z.boolean().describe('any write can be recovered now'),
    dataInTransit: z.object({
      agentBytes: bytesSchema,
      processServerBytes: bytesSchema,
      masterTargetBytes: bytesSchema,
      totalBytes: bytesSchema,
      waitsAt: z.enum(['nowhere', 'agent', 'process-server', 'master-target']),
      words: z.string().describe('where most of it waits and what that means'),
    }),
    writesPerSecond: z.number(),
    bytesPerSecond: z.number(),
    epoch: z.number().int(),
    sequences: z.object({ agent: z.number().int(), forwarded: z.number().int(), received: z.number().int(), applied: z.number().int() }),
    sent: z
      .object({
        contentBytes: bytesSchema, referencedBytes: bytesSchema.describe('of contentBytes: blocks that the master target had, by deduplication'), wireBytes: bytesSchema,
        savedPercent: z.number(), words: z.string().describe('the same in a sentence'),
      })
      .optional()
      .describe('since the process server started: what change sets hold, what crossed the link to the master target, and what deduplication and compression saved'),
    journalBytes: bytesSchema,
    retention: retentionReportSchema.extend({ words: z.string().describe('the same in a sentence') }).optional().describe('window promised and available, and when the journal is full'),
    scrub: scrubReportSchema.extend({ words: z.string().describe('the same in a sentence') }).optional().describe('reading replica and journal again, to find what their disk changed'),
    earliestPoint: timeSchema.optional(),
    latestPoint: timeSchema.optional(),
    views: z.number().int(),
    measuredAt: timeSchema.optional().describe('when the oldest of the figures was measured'),
  })
  .meta({ id: 'PairStatus' });
export type PairStatus = z.infer<typeof pairStatusSchema>;
