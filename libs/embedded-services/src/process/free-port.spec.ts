// SPDX-License-Identifier: Apache-2.0
import { expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { freePort } from './free-port';

it('a free port is the one before when that is free, another one when it is taken, and none that an outgoing connection may get', async () => {
  const first = await freePort();
  expect(first).toBeLessThan(32_768);
  expect(await freePort(first)).toBe(first);
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const taken = (server.address() as AddressInfo).port;
  const instead = await freePort(taken);
  server.close();
  expect(instead).not.toBe(taken);
  expect(instead).toBeLessThan(32_768);
});
