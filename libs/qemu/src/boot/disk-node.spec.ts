// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { parseNbdUri } from './disk-node';

describe('NBD URIs', () => {
  it('name a unix socket and an export', () => {
    expect(parseNbdUri('nbd+unix:///disk%201?socket=/run/a b.sock')).toEqual({
      server: { type: 'unix', path: '/run/a b.sock' }, exportName: 'disk 1', tls: false,
    });
  });

  it('name a host and a port, 10809 by default, also for IPv6', () => {
    expect(parseNbdUri('nbd://host')).toEqual({ server: { type: 'inet', host: 'host', port: '10809' }, exportName: '', tls: false });
    expect(parseNbdUri('nbds://[::1]:99/x')).toEqual({ server: { type: 'inet', host: '::1', port: '99' }, exportName: 'x', tls: true });
  });

  it('are told from paths', () => {
    expect(parseNbdUri('/var/lib/disk.img')).toBeUndefined();
  });

  it('without a socket are refused with the forms that work', () => {
    expect(() => parseNbdUri('nbd+unix:///disk')).toThrow(/nbd\+unix:\/\/\/export\?socket/);
  });
});
