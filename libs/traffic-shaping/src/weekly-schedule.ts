// SPDX-License-Identifier: Apache-2.0
import type { Bandwidth, BandwidthRule, Weekday } from '@secondsite/contracts';

const weekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const formats = new Map<string, Intl.DateTimeFormat>();

/** The limit at an instant (milliseconds since 1970): that of the first rule that holds then; undefined when none does. */
export function bytesPerSecondAt({ timeZone, rules }: Bandwidth, millis: number): number | undefined {
  const now = wallClock(timeZone, millis);
  return rules.find((rule) => holds(rule, now))?.bytesPerSecond;
}

interface WallClock {
  readonly day: Weekday;
  /** `HH:MM`, which compares as text. */
  readonly time: string;
}

/** From `from` on, before `to`. A rule that wraps midnight belongs to the day on which it begins. */
function holds({ days, from = '00:00', to = '24:00' }: BandwidthRule, { day, time }: WallClock): boolean {
  const on = (candidate: Weekday): boolean => days === undefined || days.includes(candidate);
  if (from < to) return on(day) && from <= time && time < to;
  return (on(day) && from <= time) || (on(dayBefore(day)) && time < to);
}

function dayBefore(day: Weekday): Weekday {
  return weekdays[(weekdays.indexOf(day) + 6) % 7] as Weekday;
}

function wallClock(timeZone: string, millis: number): WallClock {
  const parts = formatOf(timeZone).formatToParts(millis);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((one) => one.type === type)?.value ?? '';
  return { day: part('weekday').toLowerCase() as Weekday, time: `${part('hour')}:${part('minute')}` };
}

/** Making a format takes longer than everything else here. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-US', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  formats.set(timeZone, known);
  return known;
}
