// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { byteCountSchema, isoTimeSchema } from './scalars';

/** How far reading everything of a pair again is at its master target. */
export const scrubReportSchema = z.object({
  nextAt: isoTimeSchema.optional().describe('when the next round begins by itself; absent while one is under way'),
  running: z.object({ startedAt: isoTimeSchema, doneBytes: byteCountSchema, totalBytes: byteCountSchema }).optional(),
  lastRound: z.object({ startedAt: isoTimeSchema, endedAt: isoTimeSchema, readBytes: byteCountSchema, damagedBytes: byteCountSchema }).optional(),
  damagedBytes: byteCountSchema.describe('of the replica, not sent again by the source yet'),
  fault: z.object({ code: z.string(), hint: z.string() }).optional().describe('why the round does not go on for now'),
});
export type ScrubReport = z.infer<typeof scrubReportSchema>;
