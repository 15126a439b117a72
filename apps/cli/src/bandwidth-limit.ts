// SPDX-License-Identifier: Apache-2.0
import type { Bandwidth, BandwidthRule, Weekday } from '@secondsite/contracts';

const days: readonly Weekday[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const powers = ['', 'k', 'M', 'G'];

/** Reads `20MB/s`, `100Mbit/s`, `5MB/s mon-fri 08:00-18:00`, `1MB/s sat,sun`; undefined if it is no limit. Decimal units, as for links. */
export function parseLimit(text: string): BandwidthRule | undefined {
  const [rate = '', ...conditions] = text.trim().split(/\s+/);
  const bytesPerSecond = parseRate(rate);
  const when = conditions.map((word) => parseTimes(word) ?? parseDays(word));
  if (bytesPerSecond === undefined || when.includes(undefined) || conditions.length > 2) return undefined;
  return Object.assign({ bytesPerSecond }, ...when) as BandwidthRule;
}

function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kMG]?)(bit|B)\/s$/.exec(text);
  return match ? Math.floor((Number(match[1]) * 1000 ** powers.indexOf(match[2] ?? '')) / (match[3] === 'bit' ? 8 : 1)) : undefined;
}

function parseTimes(text: string): Pick<BandwidthRule, 'from' | 'to'> | undefined {
  const match = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text);
  return match?.[1] !== undefined && match[2] !== undefined ? { from: match[1], to: match[2] } : undefined;
}

function parseDays(text: string): Pick<BandwidthRule, 'days'> | undefined {
  const named = text.split(',').map((part) => {
    const [first = '', last = first] = part.split('-');
    const [from, to] = [days.indexOf(first as Weekday), days.indexOf(last as Weekday)];
    if (from < 0 || to < 0) return undefined;
    return from <= to ? days.slice(from, to + 1) : [...days.slice(from), ...days.slice(0, to + 1)];
  });
  return named.includes(undefined) ? undefined : { days: named.flatMap((part) => part ?? []) };
}

/** `5 MB/s mon,tue 08:00-18:00, else 50 MB/s (Europe/Berlin)`. */
export function describeBandwidth(bandwidth: Bandwidth | undefined): string {
  if (!bandwidth) return 'no limit';
  const rules = bandwidth.rules.map(({ bytesPerSecond, days: on, from, to }) => {
    const times = from === undefined && to === undefined ? [] : [`${from ?? '00:00'}-${to ?? '24:00'}`];
    return [`${bytesPerSecond / 1e6} MB/s`, ...(on ? [on.join(',')] : []), ...times].join(' ');
  });
  return `${rules.join(', else ')} (${bandwidth.timeZone})`;
}
