// SPDX-License-Identifier: Apache-2.0
// The client against a scripted QMP peer on a real unix socket: what real QEMU does only seldom.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpClient } from './qmp-client';

const greeting = '{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":["oob"]}}\r\n';

type Answer = (request: { id: number; name: string }, socket: Socket) => void;

describe('the QMP client', () => {
  let folder: string;
  let socketPath: string;
  let server: Server;
  let seen: string[];
  let answer: Answer;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'secondsite-qmp-'));
    socketPath = join(folder, 'qmp.sock');
    seen = [];
    answer = ({ id }, socket) => void socket.write(`${JSON.stringify({ return: {}, id })}\r\n`);
    server = createServer(serve).listen(socketPath);
  });

  afterEach(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('matches answers to commands by id, whatever their order', async () => {
    const client = await QmpClient.connect({ socketPath });
    const held: number[] = [];
    answer = ({ id }, socket) => {
      held.push(id);
      if (held.length === 2) for (const one of held.reverse()) socket.write(`${JSON.stringify({ return: one, id: one })}\n`);
    };
    const [first, second] = await Promise.all([client.execute('a'), client.execute('b')]);
    expect([first, second]).toEqual([2, 3]);
    client.close();
  });

  it("gives QEMU's class and description when a command is refused", async () => {
    const client = await QmpClient.connect({ socketPath });
    answer = ({ id }, socket) => void socket.write(`${JSON.stringify({ error: { class: 'DeviceNotFound', desc: 'no disk' }, id })}\n`);
    await expect(client.execute('x')).rejects.toMatchObject({
      code: 'qmp/refused', context: { command: 'x', class: 'DeviceNotFound', description: 'no disk' },
    });
    client.close();
  });

  it('fails a command at its time limit and ignores its late answer', async () => {
    const client = await QmpClient.connect({ socketPath });
    answer = () => undefined;
    await expect(client.execute('slow', {}, { timeLimitMillis: 5 })).rejects.toMatchObject({ code: 'qemu/time-limit' });
    answer = ({ id }, socket) => void socket.write(`${JSON.stringify({ return: 'late', id: id - 1 })}\n${JSON.stringify({ return: 'now', id })}\n`);
    await expect(client.execute('next')).resolves.toBe('now');
    client.close();
  });

  it('delivers events that come in pieces and between answers', async () => {
    const client = await QmpClient.connect({ socketPath });
    const stopped = client.waitForEvent((event) => event.name === 'STOP', 5000);
    answer = ({ id }, socket) => {
      socket.write('{"event":"ST');
      socket.write(`OP","data":{}}\n${JSON.stringify({ return: {}, id })}\n`);
    };
    await client.execute('stop');
    await expect(stopped).resolves.toMatchObject({ name: 'STOP' });
    client.close();
  });

  it('fails what is open when QEMU goes away or talks nonsense, and everything afterwards', async () => {
    for (const end of [(socket: Socket) => void socket.destroy(), (socket: Socket) => void socket.write('nonsense\n')]) {
      answer = ({ id }, socket) => void socket.write(`${JSON.stringify({ return: {}, id })}\n`);
      const client = await QmpClient.connect({ socketPath });
      answer = (_request, socket) => end(socket);
      await expect(client.execute('quit')).rejects.toMatchObject({ code: 'qmp/closed' });
      await client.closed;
      expect(client.open).toBe(false);
      await expect(client.execute('again')).rejects.toMatchObject({ code: 'qmp/closed' });
    }
  });

  it('sends only out-of-band commands ahead of the queue', async () => {
    const client = await QmpClient.connect({ socketPath });
    await client.execute('yank', {}, { outOfBand: true });
    await client.execute('query-status');
    expect(seen).toEqual(['execute qmp_capabilities', 'exec-oob yank', 'execute query-status']);
    client.close();
  });

  it('says so when another client holds the socket', async () => {
    const silent = createServer(() => undefined).listen(join(folder, 'held.sock'));
    const attempt = QmpClient.connect({ socketPath: join(folder, 'held.sock'), timeLimitMillis: 50 });
    await expect(attempt).rejects.toMatchObject({ code: 'qmp/no-greeting', hint: expect.stringContaining('one client') });
    silent.close();
  });

  function serve(socket: Socket): void {
    socket.write(greeting);
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) take(line, socket);
    });
  }

  function take(line: string, socket: Socket): void {
    const request = JSON.parse(line) as Record<string, unknown>;
    const verb = 'exec-oob' in request ? 'exec-oob' : 'execute';
    seen.push(`${verb} ${String(request[verb])}`);
    answer({ id: Number(request['id']), name: String(request[verb]) }, socket);
  }
});
