// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { epochSchema, idSchema, isoTimeSchema, pairIdSchema, sequenceSchema } from './scalars';

/** Where a bookmark lies in the stream of one pair: at the end of this change set. */
export const bookmarkCutSchema = z.object({ volumeId: idSchema, pairId: pairIdSchema, epoch: epochSchema, sequence: sequenceSchema });
export type BookmarkCut = z.infer<typeof bookmarkCutSchema>;

/** With the time of the cut by the clock of the volume's host. */
export const timedBookmarkCutSchema = bookmarkCutSchema.extend({ time: isoTimeSchema });
export type TimedBookmarkCut = z.infer<typeof timedBookmarkCutSchema>;
