// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { hooksOf } from './hook-commands';

describe('the hooks of a volume on the command line', () => {
  it('are those given, each with the limit', () => {
    expect(hooksOf({ fsfreeze: ['/srv/db'], postgresql: ['os-user=postgres,port=5433', 'socket=/run/pg'], script: ['/etc/quiesce'], limit: '20s' })).toEqual([
      { kind: 'fsfreeze', mountPoint: '/srv/db', secondsMax: 20 },
      { kind: 'postgresql', socketFolder: '/var/run/postgresql', port: 5433, user: 'postgres', database: 'postgres', osUser: 'postgres', secondsMax: 20 },
      { kind: 'postgresql', socketFolder: '/run/pg', port: 5432, user: 'postgres', database: 'postgres', secondsMax: 20 },
      { kind: 'script', file: '/etc/quiesce', secondsMax: 20 },
    ]);
    expect(hooksOf({ none: true })).toEqual([]);
    expect(hooksOf({ mysql: ['/etc/my.cnf'], guestAgent: ['/run/qga'] })).toEqual([{ kind: 'guest-agent', socket: '/run/qga' }, { kind: 'mysql', defaultsFile: '/etc/my.cnf' }]);
  });

  it.each([[{}], [{ none: true, script: ['/x'] }], [{ script: ['/x'], limit: 'soon' }], [{ postgresql: ['password=secret'] }]])('are refused when they make no sense: %j', (options) => {
    expect(() => hooksOf(options)).toThrow(expect.objectContaining({ code: expect.stringContaining('usage') }));
  });
});
