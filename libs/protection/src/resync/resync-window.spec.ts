// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';
import fc from 'fast-check';
import { isInWindow, nextInWindow } from './resync-window';

const at = (iso: string): TimeMicros => microsFromIso(iso) as TimeMicros;
const minuteMicros = 60_000_000;
const night = { from: '18:00', to: '05:00', timeZone: 'Europe/Berlin' };

const wallTime = fc.integer({ min: 0, max: 24 * 60 - 1 }).map((minute) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`);
const window = fc.record({
  from: wallTime, to: wallTime, timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Apia'),
});
/** Any minute and second, and often a day on which a clock somewhere is changed. */
const instant = fc.oneof(
  fc.integer({ min: at('2024-01-01T00:00:00Z'), max: at('2030-01-01T00:00:00Z') }),
  fc.tuple(fc.constantFrom('2026-03-08', '2026-03-29', '2026-04-05', '2026-10-04', '2026-10-25', '2026-11-01'), fc.integer({ min: -24 * 60, max: 24 * 60 })).map(
    ([day, minutes]) => at(`${day}T00:00:00Z`) + minutes * minuteMicros + 1_500_000,
  ),
);

describe('a daily window', () => {
  it('begins and ends on the clock of its time zone, over midnight and over a change of the clock', () => {
    const next = (from: string, more: Partial<typeof night> = {}) => isoFromMicros(nextInWindow({ ...night, ...more }, at(from)));
    expect(next('2026-01-10T12:00:00Z')).toBe('2026-01-10T17:00:00.000000Z');
    expect(next('2026-07-10T12:00:00Z')).toBe('2026-07-10T16:00:00.000000Z');
    expect(next('2026-01-10T23:30:00Z')).toBe('2026-01-10T23:30:00.000000Z');
    expect(next('2026-01-10T04:00:00Z')).toBe('2026-01-10T17:00:00.000000Z');
    // On 29 March 02:30 does not exist: the first minute of that day after it is 03:00, which is 01:00 UTC.
    expect(next('2026-03-28T22:00:00Z', { from: '02:30', to: '04:00' })).toBe('2026-03-29T01:00:00.000000Z');
    // One that is skipped altogether comes the day after; on 25 October 02:30 comes twice.
    expect(next('2026-03-28T22:00:00Z', { from: '02:15', to: '02:45' })).toBe('2026-03-30T00:15:00.000000Z');
    expect(next('2026-10-24T23:00:00Z', { from: '02:30', to: '02:40' })).toBe('2026-10-25T00:30:00.000000Z');
    expect(next('2026-10-25T00:40:00Z', { from: '02:30', to: '02:40' })).toBe('2026-10-25T01:30:00.000000Z');
  });

  it('is open at its first minute, closed at its last, and all day when both are the same', () => {
    expect(['16:59', '17:00', '03:59', '04:00'].map((time) => isInWindow(night, at(`2026-01-10T${time}:30Z`)))).toEqual([false, true, true, false]);
    expect(isInWindow({ ...night, to: '18:00' }, at('2026-01-10T12:00:00Z'))).toBe(true);
  });

  it('is found at the first instant that lies in it', () => {
    fc.assert(
      fc.property(window, instant, (daily, from) => {
        const next = nextInWindow(daily, from);
        expect(next).toBeGreaterThanOrEqual(from);
        expect(isInWindow(daily, next)).toBe(true);
        expect(next - from).toBeLessThanOrEqual(49 * 60 * minuteMicros);
        for (let minute = Math.floor(from / minuteMicros) * minuteMicros + minuteMicros; minute < next; minute += 7 * minuteMicros) {
          if (isInWindow(daily, minute)) throw new Error(`${isoFromMicros(minute)} was left out`);
        }
        for (let before = next - minuteMicros; before >= from && before > next - 90 * minuteMicros; before -= minuteMicros) {
          if (isInWindow(daily, before)) throw new Error(`${isoFromMicros(before)} was left out`);
        }
      }),
      { numRuns: 200 },
    );
  });
});
