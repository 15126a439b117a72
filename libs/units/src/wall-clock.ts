// SPDX-License-Identifier: Apache-2.0

/** What a clock on the wall of a time zone shows. */
export interface WallClock {
  /** 0 is Monday. */
  readonly weekday: number;
  /** Since midnight; hours as the clock shows them, whatever its offset did meanwhile. */
  readonly minute: number;
}

const weekdays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
const formats = new Map<string, Intl.DateTimeFormat>();

/** `timeZone`: an IANA name; throws RangeError for another one. `millis`: since 1970. */
export function wallClockAt(timeZone: string, millis: number): WallClock {
  const parts = formatOf(timeZone).formatToParts(millis);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((one) => one.type === type)?.value ?? '';
  return { weekday: weekdays.indexOf(part('weekday')), minute: minuteOf(`${part('hour')}:${part('minute')}`) };
}

/** Of `HH:MM`; 24:00 is the end of the day. */
export function minuteOf(wallTime: string): number {
  return Number(wallTime.slice(0, 2)) * 60 + Number(wallTime.slice(3));
}

/** Making a format takes longer than everything else here. */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone) ?? new Intl.DateTimeFormat('en-US', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  formats.set(timeZone, known);
  return known;
}
