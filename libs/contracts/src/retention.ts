// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { idSchema, isoTimeSchema, retentionSchema } from './scalars';

const ageSchema = z.int().positive().describe('the rule holds for points up to this age; what is older falls under the next rule');

/** Bookmarks of every level, or of some. */
export const bookmarkChoiceSchema = z.union([z.literal('every'), z.array(z.string().min(1).max(40)).max(10)]);

export const keepRuleSchema = z.discriminatedUnion('keep', [
  z.object({ keep: z.literal('all'), untilSeconds: ageSchema }),
  z.object({ keep: z.literal('periodic'), untilSeconds: ageSchema, everySeconds: z.int().positive().describe('the first point of each such period, in UTC'), bookmarks: bookmarkChoiceSchema }),
  z.object({ keep: z.literal('bookmarks'), untilSeconds: ageSchema, bookmarks: bookmarkChoiceSchema }),
]);
export type KeepRule = z.infer<typeof keepRuleSchema>;

/** Retention by window and space, and optionally a ladder: rules by ascending age, of which the last ends with the window. */
export const retentionLadderSchema = retentionSchema.extend({ rules: z.array(keepRuleSchema).min(1).max(20).optional() });
export type RetentionLadder = z.infer<typeof retentionLadderSchema>;

/** A recovery point that retention never drops; `time` is that of the pair. */
export const pinnedPointSchema = z.object({ pinId: idSchema, time: isoTimeSchema });
export type PinnedPoint = z.infer<typeof pinnedPointSchema>;

/** How much of a pair's journal is in the cold store. */
export const coldReportSchema = z.object({
  bytes: z.int().nonnegative(),
  waitingBytes: z.int().nonnegative().describe('on the disk of the master target, and should be in the cold store'),
  localFrom: isoTimeSchema.optional().describe('views of this time and later need nothing of the cold store; absent: none does'),
  trouble: z.object({ code: z.string(), hint: z.string(), since: isoTimeSchema }).optional().describe('why segments cannot be moved, or not be read'),
});
export type ColdReport = z.infer<typeof coldReportSchema>;

/** How a pair's journal stands against what was promised. */
export const retentionReportSchema = z.object({
  promisedSeconds: z.number().nonnegative(),
  availableSeconds: z.number().nonnegative().describe('age of the oldest point'),
  limitBytes: z.int().nonnegative().optional().describe('what the journal may take, by the plan or by the free space of the disk, whichever is less'),
  growthBytesPerSecond: z.number().optional().describe('of the last minutes; absent at first'),
  fullSeconds: z.number().nonnegative().optional().describe('when the limit is reached if it goes on so; absent when retention drops points before that'),
  shortenedBy: z.enum(['space-limit', 'disk-full']).optional().describe('points of the promised window were dropped because space ran out'),
  shortenedAt: isoTimeSchema.optional().describe('since when'),
  cold: coldReportSchema.optional().describe('absent without a cold store'),
});
export type RetentionReport = z.infer<typeof retentionReportSchema>;
