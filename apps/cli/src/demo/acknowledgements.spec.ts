// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { judgeRecovery, readGuestCheck } from './acknowledgements';

const acknowledgements = [1, 2, 3].map((row) => ({ row, receivedAt: row * 1_000_000 }));
const checkOf = (newestRow: number) => readGuestCheck(`CHECK ok rows=${newestRow} max=${newestRow} wrong=0`);

describe('judging a recovered database', () => {
  it('accepts all rows acknowledged by then, and one in flight', () => {
    expect(judgeRecovery({ acknowledgements, check: checkOf(2), at: 2_500_000 }).right).toBe(true);
    expect(judgeRecovery({ acknowledgements, check: checkOf(3), at: 2_500_000 }).right).toBe(true);
  });

  it('accepts rows whose lines were read late, all at once', () => {
    const late = [...acknowledgements, ...[4, 5, 6].map((row) => ({ row, receivedAt: 4_000_000 + row }))];
    expect([6, 7, 8].map((row) => judgeRecovery({ acknowledgements: late, check: checkOf(row), at: 3_900_000 }).right)).toEqual([true, true, false]);
  });

  it('refuses a lost row, a later row, a wrong row and a damaged database', () => {
    expect(judgeRecovery({ acknowledgements, check: checkOf(1), at: 2_500_000 }).right).toBe(false);
    expect(judgeRecovery({ acknowledgements, check: checkOf(4), at: 2_500_000 }).right).toBe(false);
    expect(judgeRecovery({ acknowledgements, check: readGuestCheck('CHECK ok rows=2 max=3 wrong=0'), at: 2_500_000 }).right).toBe(false);
    expect(judgeRecovery({ acknowledgements, check: readGuestCheck('CHECK failed reason=no-database'), at: 2_500_000 }).right).toBe(false);
  });
});
