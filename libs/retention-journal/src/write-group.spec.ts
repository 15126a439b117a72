// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { ChangeEntry } from '@secondsite/change-set';
import { WriteGroup } from './write-group';

function write(offset: number, bytes: number, dataPosition: number): ChangeEntry {
  return { kind: 'write', time: 1, offset, length: bytes, dataPosition, dataLength: bytes };
}

describe('a group of sets', () => {
  it('keeps a write that goes on in the next set apart from its beginning', () => {
    const group = new WriteGroup();
    group.beginSet(Buffer.from('heheab'));
    group.add(write(100, 2, 4));
    group.beginSet(Buffer.from('cd'));
    group.add(write(102, 2, 0));
    const seen: string[] = [];
    group.visit(100, 104, (start, end, value) => seen.push(`${start} ${Buffer.from(group.bytesAt(value, end - start)).toString()}`));
    expect(seen).toEqual(['100 ab', '102 cd']);
  });
});
