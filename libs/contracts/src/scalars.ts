// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** An id that is also one token of a subject: letters, digits, dash and underscore. */
export const idSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'an id has 1 to 64 letters, digits, dashes or underscores');

/** What an alert is about, e.g. `rpo-exceeded`. A pattern and no list, so that a released event can carry new ones. */
export const alertKindSchema = z.string().regex(/^[a-z]+(-[a-z]+)*$/).max(64);

/** 16 bytes as lower-case text; pairs have one because it is part of the change-set header. */
export const pairIdSchema = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a pair id is a UUID in lower case');

/** ISO 8601 in UTC with at most six decimals, e.g. `2026-11-21T22:50:32.000001Z`. All times in JSON documents have this form. */
export const isoTimeSchema = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/, 'a time is ISO 8601 in UTC with at most six decimals');

/** W3C trace context, version 00. */
export const traceparentSchema = z.string().regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/, 'not a W3C traceparent of version 00');

export const countSchema = z.int().nonnegative();
export const byteCountSchema = z.int().nonnegative();
export const epochSchema = z.int().min(0).max(0xffff_ffff);
export const sequenceSchema = z.int().nonnegative();

/** Every kind of process that has a certificate. */
export const roleSchema = z.enum(['agent', 'process-server', 'master-target', 'config-server', 'operator']);
export type Role = z.infer<typeof roleSchema>;

/** Components that follow a desired-state document. */
export const dataPlaneRoleSchema = z.enum(['agent', 'process-server', 'master-target']);
export type DataPlaneRole = z.infer<typeof dataPlaneRoleSchema>;

export const compressionSchema = z.enum(['none', 'source', 'process-server']);
export const retentionSchema = z.object({ windowSeconds: z.int().positive(), spaceBytes: z.int().positive().optional() });
