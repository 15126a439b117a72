// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { type CpuProfile, foldProfile, functionTimes } from './fold-profile';

const node = (id: number, functionName: string, url = '', children: readonly number[] = []): CpuProfile['nodes'][number] => ({ id, callFrame: { functionName, url, lineNumber: 6 }, children });

const profile: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 5, 6]), node(2, 'apply', 'file:///x/dist/set-applier.js', [3, 4]), node(3, '', 'file:///x/dist/set-applier.js', [7]),
    node(4, 'writeSync', 'node:fs'), node(5, '(idle)'), node(6, '(program)'), node(7, ''),
  ],
  samples: [2, 3, 4, 4, 5, 6, 7],
  timeDeltas: [900, 10, 20, 30, 40, 50, 60],
};

describe('a folded profile', () => {
  it('gives each stack the time until the next sample, and leaves out what was waiting', () => {
    expect([...foldProfile(profile)]).toEqual([
      ['set-applier:apply', 10], ['set-applier:apply;set-applier:line 7', 20], ['set-applier:apply;node:fs:writeSync', 70], ['(program)', 60],
      ['set-applier:apply;set-applier:line 7;(native)', 0],
    ]);
  });

  it('tells the own and the whole time of each function, a recursive one once', () => {
    expect(functionTimes(new Map([['a;b', 5], ['a;b;a', 7], ['c', 1]]))).toEqual([
      { name: 'a', self: 7, total: 12 }, { name: 'b', self: 5, total: 12 }, { name: 'c', self: 1, total: 1 },
    ]);
  });
});
