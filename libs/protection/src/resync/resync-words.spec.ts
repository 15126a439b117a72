// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { GIB, MIB } from '@secondsite/units';
import { resyncWords } from './resync-words';

const volumeBytes = 10 * GIB;

describe('what a pair chose, in words', () => {
  it('says what is read again, how much of it, and why', () => {
    expect(resyncWords({ work: 'nothing', cause: 'clean-start', resyncBytes: 0, volumeBytes })).toBe(
      'nothing has to be read again, because the agent was stopped with everything applied at the target',
    );
    expect(resyncWords({ work: 'regions', cause: 'stream-broken', resyncBytes: 12 * MIB, volumeBytes, detail: 'set 7 was damaged' })).toBe(
      'dirty regions are read again, 12 MiB of 10 GiB, because change sets were lost on the way to the replica, and their regions are still marked in the write-intent bitmap (set 7 was damaged)',
    );
    expect(resyncWords({ work: 'whole', cause: 'replica-lost', resyncBytes: volumeBytes + MIB, volumeBytes })).toBe(
      'the whole volume is read, 10 GiB, because the master target does not hold what was applied there before',
    );
    expect(resyncWords({ work: 'whole', cause: 'baseline', resyncBytes: 4 * GIB, volumeBytes })).toBe('the rest of the whole volume is read, 4 GiB of 10 GiB, because the pair is new');
  });
});
