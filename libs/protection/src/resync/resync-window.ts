// SPDX-License-Identifier: Apache-2.0
/** Daily windows on the clock of a time zone, whatever its offset does meanwhile. Pure: the platform's time zone data are constants. */
import type { AutomaticResync } from '@secondsite/contracts';
import { minuteOf, type TimeMicros, wallClockAt } from '@secondsite/units';

export type DailyWindow = Pick<AutomaticResync, 'from' | 'to' | 'timeZone'>;

const MINUTE_MICROS = 60_000_000;
const DAY_MINUTES = 24 * 60;
/** Offsets of time zones change at quarters of an hour only, so that between two of them clocks run evenly. */
const QUARTER_MINUTES = 15;
/** No change of offset is larger. */
const SHIFT_MINUTES_MAX = 120;
/** A window that a change of offset skips is there again the day after. */
const SEARCH_DAYS_MAX = 3;

/** `from` belongs to the window, `to` does not; equal ones: all day. */
export function isInWindow(window: DailyWindow, at: TimeMicros): boolean {
  const [from, to, now] = [minuteOf(window.from), minuteOf(window.to), minuteOfDay(window.timeZone, at)];
  if (from === to) return true;
  return from < to ? from <= now && now < to : now >= from || now < to;
}

/** The first instant at or after `from` inside the window. */
export function nextInWindow(window: DailyWindow, from: TimeMicros): TimeMicros {
  if (isInWindow(window, from)) return from;
  let at = Math.floor(from / MINUTE_MICROS) * MINUTE_MICROS;
  const end = at + SEARCH_DAYS_MAX * DAY_MINUTES * MINUTE_MICROS;
  while (at < end) {
    at += minutesToLook((minuteOf(window.from) - minuteOfDay(window.timeZone, at) + DAY_MINUTES) % DAY_MINUTES, at) * MINUTE_MICROS;
    if (isInWindow(window, at)) return at;
  }
  return at;
}

/** How far the next look may be, when the clock shows the begin of the window in `left` minutes or showed it a day minus `left` ago. */
function minutesToLook(left: number, at: TimeMicros): number {
  const mayShiftThere = left <= SHIFT_MINUTES_MAX + QUARTER_MINUTES || DAY_MINUTES - left <= SHIFT_MINUTES_MAX;
  return mayShiftThere ? Math.min(left || DAY_MINUTES, minutesToQuarter(at)) : left - SHIFT_MINUTES_MAX;
}

function minutesToQuarter(at: TimeMicros): number {
  return QUARTER_MINUTES - ((at / MINUTE_MICROS) % QUARTER_MINUTES);
}

function minuteOfDay(timeZone: string, at: TimeMicros): number {
  return wallClockAt(timeZone, at / 1000).minute;
}
