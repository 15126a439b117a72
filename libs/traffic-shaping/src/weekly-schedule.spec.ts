// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { Bandwidth, BandwidthRule } from '@secondsite/contracts';
import * as fc from 'fast-check';
import { bytesPerSecondAt } from './weekly-schedule';

const at = (bandwidth: Bandwidth, iso: string): number | undefined => bytesPerSecondAt(bandwidth, Date.parse(iso));
const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));

/** A week in UTC as a list of its minutes; Monday 00:00 is 0. */
function minutesOfRule({ days: on = [...days], from = '00:00', to = '24:00' }: BandwidthRule): Set<number> {
  const [start, end] = [minutesOf(from), minutesOf(to)];
  const length = end > start ? end - start : 1440 - start + end;
  return new Set(on.flatMap((day) => Array.from({ length }, (_, minute) => (days.indexOf(day) * 1440 + start + minute) % 10_080)));
}

const time = fc.integer({ min: 0, max: 1439 }).map((minute) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`);
const rule: fc.Arbitrary<BandwidthRule> = fc
  .record({ bytesPerSecond: fc.integer({ min: 1, max: 9 }), days: fc.subarray([...days], { minLength: 1 }), from: time, to: time }, { requiredKeys: ['bytesPerSecond'] });

describe('a weekly schedule of limits', () => {
  it('takes the first rule that holds', () => {
    const bandwidth: Bandwidth = { timeZone: 'UTC', rules: [{ bytesPerSecond: 1, days: ['mon'], from: '08:00', to: '18:00' }, { bytesPerSecond: 2, days: ['mon'] }] };
    expect(at(bandwidth, '2026-11-23T07:59:59Z')).toBe(2);
    expect(at(bandwidth, '2026-11-23T08:00:00Z')).toBe(1);
    expect(at(bandwidth, '2026-11-23T18:00:00Z')).toBe(2);
    expect(at(bandwidth, '2026-11-24T08:00:00Z')).toBeUndefined();
  });

  it('follows the wall clock of its time zone over a change to summer time', () => {
    const bandwidth: Bandwidth = { timeZone: 'Europe/Berlin', rules: [{ bytesPerSecond: 1, from: '08:00', to: '09:00' }] };
    expect(at(bandwidth, '2026-03-28T07:30:00Z')).toBe(1); // UTC+1
    expect(at(bandwidth, '2026-03-29T07:30:00Z')).toBeUndefined(); // UTC+2
    expect(at(bandwidth, '2026-03-29T06:30:00Z')).toBe(1);
  });

  it('says what a list of all minutes of the week says, also when a rule wraps midnight', () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 10_079 }), (rules, minute) => {
        const expected = rules.find((one) => minutesOfRule(one).has(minute))?.bytesPerSecond;
        expect(bytesPerSecondAt({ timeZone: 'UTC', rules }, Date.parse('2026-11-23T00:00:00Z') + minute * 60_000)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});
