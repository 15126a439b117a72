// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** Name that users give: letters, digits, dot, dash and underscore; starts with a letter or digit. */
export const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'a name has 1 to 63 letters, digits, dots, dashes or underscores');

/** Id or name of something that exists. */
export const referenceSchema = z.string().min(1).max(128);

/** ISO 8601 in UTC, up to six decimals. */
export const timeSchema = z.string().describe('ISO 8601 in UTC, microseconds');

/** A point in time as users write it. */
export const timeInputSchema = z.string().min(1).max(64).describe('ISO 8601 with any fraction, or a span before now such as -90s, -15m, -2h');

export const bytesSchema = z.number().int().nonnegative();
export const componentRoleSchema = z.enum(['agent', 'process-server', 'master-target']);
export type ComponentRoleName = z.infer<typeof componentRoleSchema>;
