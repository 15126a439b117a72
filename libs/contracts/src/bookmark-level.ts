// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/**
 * What stood still when a bookmark was cut. `crash`: nothing, the disks are as after a power cut; `file-system`: file systems were frozen;
 * `application`: applications too; `user`: as crash, and named by somebody.
 */
export const bookmarkLevelSchema = z.enum(['crash', 'file-system', 'application', 'user']);
export type BookmarkLevel = z.infer<typeof bookmarkLevelSchema>;

/** Of the bookmarks that are made every consistency interval. */
export const consistencyLevelSchema = bookmarkLevelSchema.exclude(['user']);
export type ConsistencyLevel = z.infer<typeof consistencyLevelSchema>;
