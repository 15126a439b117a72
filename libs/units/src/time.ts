// SPDX-License-Identifier: Apache-2.0
declare const brand: unique symbol;

/** Microseconds since 1970-01-01T00:00:00Z, as a whole number; exact in a double until the year 2255. */
export type TimeMicros = number & { readonly [brand]?: 'TimeMicros' };

const isoPattern = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?(Z|[+-]\d{2}:?\d{2})?$/;
const agoPattern = /^-(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const microsPerUnit: Record<string, number> = { ms: 1e3, s: 1e6, m: 60e6, h: 3600e6, d: 86_400e6 };

export function timeMicros(value: number): TimeMicros {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a time in microseconds`);
  return value;
}

/** ISO 8601 in UTC with six decimals: `2026-11-21T22:50:32.000001Z`. */
export function isoFromMicros(time: TimeMicros): string {
  const seconds = Math.floor(time / 1e6);
  const fraction = String(time - seconds * 1e6).padStart(6, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Reads ISO 8601 with any fraction (digits past microseconds are cut) and any offset; without one it is UTC. Undefined if it is no time. */
export function microsFromIso(text: string): TimeMicros | undefined {
  const match = isoPattern.exec(text.trim());
  if (!match) return undefined;
  const millis = Date.parse(`${match[1]}${match[3] ?? 'Z'}`);
  if (Number.isNaN(millis)) return undefined;
  return millis * 1000 + Number((match[2] ?? '').slice(0, 6).padEnd(6, '0'));
}

/** A point in time as users write it: ISO 8601, or `-90s` (also ms, m, h, d) before `now`. Undefined if it is neither. */
export function parsePointInTime(text: string, now: TimeMicros): TimeMicros | undefined {
  const ago = agoPattern.exec(text.trim());
  if (!ago) return microsFromIso(text);
  return Math.round(now - Number(ago[1]) * (microsPerUnit[ago[2] as string] as number));
}
