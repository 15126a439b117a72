// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { describeBandwidth, parseLimit } from './bandwidth-limit';

describe('a bandwidth limit on the command line', () => {
  it.each([
    ['20MB/s', { bytesPerSecond: 20_000_000 }],
    ['100Mbit/s', { bytesPerSecond: 12_500_000 }],
    ['5MB/s mon-fri 08:00-18:00', { bytesPerSecond: 5_000_000, days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '08:00', to: '18:00' }],
    ['1.5MB/s fri-mon', { bytesPerSecond: 1_500_000, days: ['fri', 'sat', 'sun', 'mon'] }],
    ['500kB/s 22:00-06:00 sat,wed', { bytesPerSecond: 500_000, days: ['sat', 'wed'], from: '22:00', to: '06:00' }],
  ])('%s', (text, rule) => {
    expect(parseLimit(text)).toEqual(rule);
  });

  it.each(['', '20', '20MB', 'fast', '5MB/s someday', '5MB/s mon-fri 8-18', '5MB/s mon tue wed'])('%j is none', (text) => {
    expect(parseLimit(text)).toBeUndefined();
  });

  it('is said in words', () => {
    expect(describeBandwidth(undefined)).toBe('no limit');
    const rules = [parseLimit('5MB/s mon,tue 08:00-18:00'), parseLimit('50MB/s')].flatMap((rule) => rule ?? []);
    expect(describeBandwidth({ timeZone: 'Europe/Berlin', rules })).toBe('5 MB/s mon,tue 08:00-18:00, else 50 MB/s (Europe/Berlin)');
  });
});
