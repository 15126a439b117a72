// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { FreezeHook, HookResult } from '@secondsite/contracts';
import { levelReached } from './level-reached';

const disk: FreezeHook = { kind: 'fsfreeze', mountPoint: '/srv' };
const guest: FreezeHook = { kind: 'guest-agent', socket: '/run/qga' };
const script: FreezeHook = { kind: 'script', file: '/etc/quiesce' };
const froze = ({ kind: hook }: FreezeHook, outcome: HookResult['outcome'] = 'done'): HookResult => ({ volumeId: 'v', hook, step: 'freeze', outcome, millis: 1 });

describe('the level of a bookmark', () => {
  it('is what was wanted when every hook froze', () => {
    expect(levelReached({ wanted: 'application', asked: [script, disk, guest], results: [froze(script), froze(disk), froze(guest)] })).toBe('application');
    expect(levelReached({ wanted: 'application', asked: [script], results: [froze(script)] })).toBe('application');
    expect(levelReached({ wanted: 'file-system', asked: [disk], results: [froze(disk)] })).toBe('file-system');
  });

  it('is file-system when only an application failed, or none was there', () => {
    expect(levelReached({ wanted: 'application', asked: [script, disk], results: [froze(script, 'failed'), froze(disk)] })).toBe('file-system');
    expect(levelReached({ wanted: 'application', asked: [disk], results: [froze(disk)] })).toBe('file-system');
  });

  it('is crash when a file system did not freeze in time, was not reached, or has no hook', () => {
    expect(levelReached({ wanted: 'application', asked: [script, disk], results: [froze(script), froze(disk, 'too-slow')] })).toBe('crash');
    expect(levelReached({ wanted: 'file-system', asked: [disk, guest], results: [froze(disk)] })).toBe('crash');
    expect(levelReached({ wanted: 'application', asked: [script], results: [froze(script, 'failed')] })).toBe('crash');
    const thawed: HookResult = { ...froze(disk), step: 'thaw' };
    expect(levelReached({ wanted: 'file-system', asked: [disk], results: [froze(disk, 'failed'), thawed] })).toBe('crash');
  });
});
