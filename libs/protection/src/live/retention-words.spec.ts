// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { formatSeconds, retentionWords } from './retention-words';

describe('retention in words', () => {
  it('says what is here and what is in the cold store', () => {
    const cold = { bytes: 40 * 2 ** 30, waitingBytes: 2 ** 30 };
    const report = { promisedSeconds: 86_400, availableSeconds: 43_200, cold };
    expect(retentionWords(report, 2 ** 30)).toBe('12 h of 1 d available, journal 1 GiB here and 40 GiB in the cold store');
    const trouble = { code: 'cold-store/unreachable', hint: 'Check it.', since: '2026-01-01T00:00:00Z' };
    expect(retentionWords({ ...report, cold: { ...cold, trouble } }, 2 ** 30)).toContain('40 GiB in the cold store (cold-store/unreachable, 1 GiB waiting)');
  });

  it('tells window, size and when the journal is full', () => {
    const report = { promisedSeconds: 86_400, availableSeconds: 43_200, limitBytes: 50 * 2 ** 30, fullSeconds: 11_400 };
    expect(retentionWords(report, 2 ** 30)).toBe('12 h of 1 d available, journal 1 GiB of 50 GiB, full in 3 h 10 min');
    expect(retentionWords({ promisedSeconds: 86_400, availableSeconds: 90_000 }, 0)).toBe('1 d of 1 d available, journal 0 B');
  });

  it('tells why points are missing', () => {
    const report = { promisedSeconds: 86_400, availableSeconds: 3600, shortenedBy: 'disk-full' } as const;
    expect(retentionWords(report, 2 ** 20)).toBe('1 h of 1 d available: the oldest points were dropped because the disk of the master target is full; journal 1 MiB');
  });

  it.each([[0, '0 s'], [59.6, '1 min'], [61, '1 min 1 s'], [3600, '1 h'], [90_061, '1 d 1 h'], [2_419_200, '28 d']])('%d s are %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });
});
