// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { epochSchema, idSchema, pairIdSchema, sequenceSchema } from './scalars';

/** Where a bookmark lies in the stream of one pair: at the end of this change set. */
export const bookmarkCutSchema = z.object({ volumeId: idSchema, pairId: pairIdSchema, epoch: epochSchema, sequence: sequenceSchema });
export type BookmarkCut = z.infer<typeof bookmarkCutSchema>;
