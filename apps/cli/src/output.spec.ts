// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { humanBytes, humanSeconds, parseBytes, parseSeconds, table } from './output';

describe('figures for people', () => {
  it('reads sizes and durations as users write them', () => {
    expect([parseBytes('50GiB'), parseBytes('1.5k'), parseBytes('7'), parseBytes('lots')]).toEqual([50 * 1024 ** 3, 1536, 7, undefined]);
    expect([parseSeconds('24h'), parseSeconds('15m'), parseSeconds('90'), parseSeconds('7d')]).toEqual([86_400, 900, undefined, 604_800]);
  });

  it('writes them short', () => {
    expect([humanBytes(0), humanBytes(1536), humanBytes(8 * 1024 ** 2)]).toEqual(['0 B', '1.5 KiB', '8.0 MiB']);
    expect([humanSeconds(null), humanSeconds(0.42), humanSeconds(5400)]).toEqual(['–', '0.4 s', '1 h 30 min']);
  });

  it('aligns columns and says when there is nothing', () => {
    expect(table(['A', 'B'], [['long', 1]])).toBe('A     B\nlong  1');
    expect(table(['A'], [])).toBe('(none)');
  });
});
