// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { isoFromMicros, microsFromIso, parsePointInTime } from './time';

describe('times', () => {
  it('keeps every microsecond from text to number and back', () => {
    expect(isoFromMicros(microsFromIso('2026-11-21T22:50:32.000001Z') as number)).toBe('2026-11-21T22:50:32.000001Z');
  });

  it('reads any fraction, offsets, and a time without an offset as UTC', () => {
    expect(microsFromIso('1970-01-01T00:00:01.5')).toBe(1_500_000);
    expect(microsFromIso('1970-01-01T01:00:00.1234567+01:00')).toBe(123_456);
    expect(microsFromIso('yesterday')).toBeUndefined();
  });

  it('reads a span before now', () => {
    expect(parsePointInTime('-90s', 100_000_000)).toBe(10_000_000);
    expect(parsePointInTime('-1.5ms', 100_000)).toBe(98_500);
    expect(parsePointInTime('soon', 1)).toBeUndefined();
  });
});
