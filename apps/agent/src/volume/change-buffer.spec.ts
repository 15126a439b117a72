// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { hugePagesSize } from '@secondsite/disk-files';
import { MIB } from '@secondsite/units';
import { BufferBudget } from './buffer-budget';
import { ChangeBuffer } from './change-buffer';

describe('memory of a segment', () => {
  it.each([undefined, 8 * MIB, 15_625_000])('fills its huge pages when %s bytes of data are asked for', (dataBytes) => {
    const budget = new BufferBudget({ shared: BufferBudget.createShared(), bytesMax: 64 * MIB });
    const buffer = new ChangeBuffer({ budget, dataBytes });
    expect(buffer.open(0)).toBe(true);
    expect(budget.usedBytes).toBe(hugePagesSize(7 * MIB));
    buffer.close();
    expect(budget.usedBytes).toBe(0);
  });
});
