// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

const wallTimeSchema = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day is HH:MM, 00:00 to 23:59');

/** When a pair that needs its whole volume read begins by itself: after a wait, inside a daily window of the plan's time zone. */
export const automaticResyncSchema = z.object({
  enabled: z.boolean().describe('false: only when an operator asks for it'),
  waitSeconds: z.int().nonnegative(),
  from: wallTimeSchema,
  to: wallTimeSchema.describe('may be before from: the window then goes over midnight; equal to from: all day'),
  timeZone: z.string().min(1).max(64).describe('IANA name, e.g. Europe/Berlin'),
});
export type AutomaticResync = z.infer<typeof automaticResyncSchema>;

export const automaticResyncDefault: AutomaticResync = Object.freeze({ enabled: true, waitSeconds: 1800, from: '18:00', to: '05:00', timeZone: 'UTC' });

/** True for a name that this platform's time zone data know. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).format(0) !== '';
  } catch {
    return false;
  }
}
