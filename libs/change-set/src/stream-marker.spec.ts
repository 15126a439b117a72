// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { BookmarkMarker } from './change-set';
import { decodeMarker, encodeMarker } from './stream-marker';

const bookmark: BookmarkMarker = { kind: 'bookmark', bookmarkId: 'b-1', name: 'before upgrade', level: 'user' };

describe('the marker of a bookmark', () => {
  it.each(['crash', 'file-system', 'application', 'user'] as const)('of level %s is read as it was written, with and without a number of hosts', (level) => {
    expect(decodeMarker(encodeMarker({ ...bookmark, level }))).toEqual({ ...bookmark, level });
    expect(decodeMarker(encodeMarker({ ...bookmark, level, hosts: 3 }))).toEqual({ ...bookmark, level, hosts: 3 });
  });

  it('is not read with a level or a number of hosts that nobody knows', () => {
    for (const part of [{ level: 'perfect' }, { hosts: -1 }, { hosts: 'two' }]) expect(decodeMarker(Buffer.from(JSON.stringify({ ...bookmark, ...part })))).toBeUndefined();
  });
});
