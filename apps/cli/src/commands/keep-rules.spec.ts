// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { formatKeepRule, parseKeepRule } from './keep-rules';

describe('a keep rule', () => {
  it.each([
    ['all for 24h', { keep: 'all', untilSeconds: 86_400 }, 'all for 1d'],
    ['every 4h until 7d', { keep: 'periodic', everySeconds: 14_400, untilSeconds: 604_800, bookmarks: 'every' }, 'every 4h until 7d'],
    ['every 4h with bookmarks until 7d', { keep: 'periodic', everySeconds: 14_400, untilSeconds: 604_800, bookmarks: 'every' }, 'every 4h until 7d'],
    ['every 1d with user,crash bookmarks until 90d', { keep: 'periodic', everySeconds: 86_400, untilSeconds: 7_776_000, bookmarks: ['user', 'crash'] }, 'every 1d with user,crash bookmarks until 90d'],
    ['every  90s without bookmarks until 30m', { keep: 'periodic', everySeconds: 90, untilSeconds: 1800, bookmarks: [] }, 'every 90s without bookmarks until 30m'],
    ['bookmarks until 1y', { keep: 'bookmarks', untilSeconds: 31_536_000, bookmarks: 'every' }, 'bookmarks until 365d'],
    ['user bookmarks until 4w', { keep: 'bookmarks', untilSeconds: 2_419_200, bookmarks: ['user'] }, 'user bookmarks until 28d'],
  ])('%s', (text, rule, again) => {
    const parsed = parseKeepRule(text);
    expect(parsed).toEqual(rule);
    expect(parsed && formatKeepRule(parsed)).toBe(again);
    expect(parseKeepRule(again)).toEqual(rule);
  });

  it.each(['', 'all', 'everything for 24h', 'every 4h', 'every now until 7d', 'all for ever', 'every 0h until 7d', 'bookmarks'])('%p is none', (text) => {
    expect(parseKeepRule(text)).toBeUndefined();
  });
});
