// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { AuditAllowance } from './audit-allowance';

describe('the allowance of audit events', () => {
  it('is used up inside a minute and whole again in the next', () => {
    let now = 0;
    const allowance = new AuditAllowance(() => now, 2);
    expect([allowance.take(), allowance.take(), allowance.take()]).toEqual([true, true, false]);
    now = 60_000;
    expect(allowance.take()).toBe(true);
  });
});
