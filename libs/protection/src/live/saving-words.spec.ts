// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { savingWords } from './saving-words';

describe('what was saved on the link', () => {
  it('tells deduplication and the rest apart', () => {
    const GIB = 2 ** 30;
    expect(savingWords({ contentBytes: 4 * GIB, referencedBytes: 3 * GIB, wireBytes: GIB / 2 })).toBe('of 4 GiB of change sets 3 GiB (75 %) were at the target already, 512 MiB (12.5 %) crossed the link');
    expect(savingWords({ contentBytes: 4 * GIB, referencedBytes: 0, wireBytes: GIB })).toBe('of 4 GiB of change sets 1 GiB (25 %) crossed the link');
    expect(savingWords({ contentBytes: 0, referencedBytes: 0, wireBytes: 0 })).toBe('nothing was sent yet');
  });
});
