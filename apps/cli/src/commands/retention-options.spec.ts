// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { KeepRule } from '@secondsite/contracts';
import { changedRetention, describeRetention, retentionOf } from './retention-options';

const ladder = ['all for 24h', 'every 4h until 7d', 'user bookmarks until 4w'];
const rules: KeepRule[] = [
  { keep: 'all', untilSeconds: 86_400 },
  { keep: 'periodic', untilSeconds: 604_800, everySeconds: 14_400, bookmarks: 'every' },
  { keep: 'bookmarks', untilSeconds: 2_419_200, bookmarks: ['user'] },
];

describe('retention on the command line', () => {
  it('is a window, a space, both, or a ladder', () => {
    expect(retentionOf({})).toBeUndefined();
    expect(retentionOf({ retention: '7d', retentionSpace: '50GiB' })).toEqual({ windowSeconds: 604_800, spaceBytes: 50 * 2 ** 30 });
    expect(retentionOf({ keep: ladder })).toEqual({ rules });
    expect(() => retentionOf({ keep: ladder, retention: '7d' })).toThrow(expect.objectContaining({ code: 'cli/usage' }));
    expect(() => retentionOf({ keep: ['some for 24h'] })).toThrow(expect.objectContaining({ hint: expect.stringContaining('"some for 24h" is no rule') }));
  });

  it('changes what is given and leaves the rest', () => {
    const current = { windowSeconds: 86_400, spaceBytes: 1000 };
    expect(changedRetention(current, { retention: '7d' })).toEqual({ windowSeconds: 604_800, spaceBytes: 1000 });
    expect(changedRetention(current, { keep: ladder })).toMatchObject({ spaceBytes: 1000, rules });
    expect(changedRetention({ ...current, rules }, { retention: '7d' })).toEqual({ windowSeconds: 604_800, spaceBytes: 1000 });
    expect(changedRetention({ ...current, rules }, { retentionSpace: 'none' })).toEqual({ windowSeconds: 86_400, rules });
    expect(() => changedRetention(current, {})).toThrow(expect.objectContaining({ code: 'cli/usage' }));
  });

  it('is told in the words in which it is given', () => {
    expect(describeRetention({ windowSeconds: 2_419_200, spaceBytes: 50 * 2 ** 30, rules })).toBe('all for 1d, every 4h until 7d, user bookmarks until 28d or 50 GiB');
  });
});
