// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import koffi from 'koffi';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { chooseCongestionControl } from './congestion-control';
import { descriptorOf } from './direct-socket';

const getsockopt = koffi.load(null).func('int getsockopt(int socket, int level, int option, void *value, _Inout_ uint32_t *length)') as (
  socket: number, level: number, option: number, value: Buffer, length: number[],
) => number;

describe('the congestion control of a socket', () => {
  let server: Server;
  let socket: Socket;

  beforeAll(async () => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
  });

  afterAll(() => {
    socket.destroy();
    server.close();
  });

  it('is what was chosen', () => {
    expect(chooseCongestionControl(socket, 'reno')).toBe(true);
    expect(chosen()).toBe('reno');
  });

  it('stays as it is when the system does not have what was asked for, or the socket is closed', () => {
    const before = chosen();
    expect(chooseCongestionControl(socket, 'no-such-control')).toBe(false);
    expect(chosen()).toBe(before);
    socket.destroy();
    expect(chooseCongestionControl(socket, 'reno')).toBe(false);
  });

  function chosen(): string {
    const value = Buffer.alloc(16);
    expect(getsockopt(descriptorOf(socket), 6, 13, value, [value.length])).toBe(0);
    return value.toString('latin1').replace(/\0.*$/, '');
  }
});
