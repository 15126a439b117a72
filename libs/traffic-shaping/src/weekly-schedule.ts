// SPDX-License-Identifier: Apache-2.0
import type { Bandwidth, BandwidthRule, Weekday } from '@secondsite/contracts';
import { minuteOf, type WallClock, wallClockAt } from '@secondsite/units';

const weekdays: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** The limit at an instant (milliseconds since 1970): that of the first rule that holds then; undefined when none does. */
export function bytesPerSecondAt({ timeZone, rules }: Bandwidth, millis: number): number | undefined {
  const now = wallClockAt(timeZone, millis);
  return rules.find((rule) => holds(rule, now))?.bytesPerSecond;
}

/** From `from` on, before `to`. A rule that wraps midnight belongs to the day on which it begins. */
function holds({ days, from = '00:00', to = '24:00' }: BandwidthRule, { weekday, minute }: WallClock): boolean {
  const on = (day: number): boolean => days === undefined || days.includes(weekdays[day % 7] as Weekday);
  const [begin, end] = [minuteOf(from), minuteOf(to)];
  if (begin < end) return on(weekday) && begin <= minute && minute < end;
  return (on(weekday) && begin <= minute) || (on(weekday + 6) && minute < end);
}
