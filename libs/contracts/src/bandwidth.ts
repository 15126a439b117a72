// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { isTimeZone } from './automatic-resync';

export const weekdaySchema = z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);
export type Weekday = z.infer<typeof weekdaySchema>;

const timeOfDaySchema = z.string().regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'a time of day is HH:MM, 00:00 to 24:00');

const bandwidthRuleSchema = z.object({
  bytesPerSecond: z.int().positive(),
  days: z.array(weekdaySchema).min(1).optional().describe('absent: every day; a rule that wraps midnight belongs to the day on which it begins'),
  from: timeOfDaySchema.optional().describe('absent: 00:00'),
  to: timeOfDaySchema.optional().describe('not included; absent: 24:00; at or before from: on the next day'),
});
export type BandwidthRule = z.infer<typeof bandwidthRuleSchema>;

/** A weekly schedule of limits: the first rule that holds now is the limit; none: no limit. */
export const bandwidthSchema = z.object({
  timeZone: z.string().describe('IANA name such as Europe/Berlin'),
  rules: z.array(bandwidthRuleSchema).min(1).max(50),
});
export type Bandwidth = z.infer<typeof bandwidthSchema>;

/** 1 Mbit/s: with less, a change set of 8 MiB would take longer than its receiver waits. */
const bytesPerSecondMin = 125_000;

/** A schedule as a user asks for it. */
export const bandwidthWishSchema = z.object({
  timeZone: z.string().refine(isTimeZone, 'the time zone is not a known IANA name such as Europe/Berlin').default('UTC'),
  rules: z
    .array(bandwidthRuleSchema.extend({ bytesPerSecond: z.int().min(bytesPerSecondMin, 'a limit is at least 125000 bytes per second (1 Mbit/s)') }))
    .min(1)
    .max(50),
});

/** Share of a limited link that a host's pairs get beside others. */
export const prioritySchema = z.enum(['high', 'normal', 'low']);
export type Priority = z.infer<typeof prioritySchema>;
