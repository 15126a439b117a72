// SPDX-License-Identifier: Apache-2.0
// The keeper as a real process, with real programs: what it froze is thawed when it is asked, when the time is up, and when the agent or the keeper
// itself is killed.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FreezeHook } from '@secondsite/contracts';
import { temporaryDirectory } from '@secondsite/disk-files/testing';
import { compiledWorker } from '@secondsite/thread-host';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { waitFor } from '../testing/wait-for';
import { FrozenVolumes } from '../host/frozen-volumes';
import { FreezeSession } from './freeze-session';
import type { FreezeOrder } from './keep-frozen';

const keeperFile = compiledWorker(__dirname, 'freeze-keeper-main');
let folder: Awaited<ReturnType<typeof temporaryDirectory>>;
const sessions: FreezeSession[] = [];

beforeEach(async () => (folder = await temporaryDirectory()));
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.thaw()));
  await folder.dispose();
});

/** A script that notes its argument, and does what `body` says when it is to freeze. */
function scriptHook(name: string, body = ''): FreezeHook {
  const file = join(folder.path, name);
  writeFileSync(file, `#!/bin/sh\necho "$1 ${name}" >> ${noteFile()}\nif [ "$1" = freeze ]; then :\n${body}\nfi\n`, { mode: 0o755 });
  return { kind: 'script', file, secondsMax: 5 };
}

function noteFile(): string {
  return join(folder.path, 'notes');
}

function notes(): string[] {
  return existsSync(noteFile()) ? readFileSync(noteFile(), 'utf8').trim().split('\n') : [];
}

function orderOf(hooks: readonly FreezeHook[], parts: Partial<FreezeOrder> = {}): FreezeOrder {
  return { hooks: hooks.map((hook, index) => ({ volumeId: `v${index}`, hook })), isStrict: true, limitMillis: 20_000, ownFolder: folder.path, ...parts };
}

async function frozen(order: FreezeOrder): Promise<FreezeSession> {
  const session = new FreezeSession({ order, keeperFile, millis: () => performance.now() });
  sessions.push(session);
  await session.settled();
  return session;
}

const stepsOf = ({ results }: FreezeSession): string[] => results.map(({ volumeId, step, outcome }) => `${volumeId} ${step} ${outcome}`);

describe('a freeze', () => {
  it('lasts until it is asked to end, and tells every step', async () => {
    const session = await frozen(orderOf([scriptHook('a'), scriptHook('b')]));
    expect([session.isFrozen, notes()]).toEqual([true, ['freeze a', 'freeze b']]);
    await session.thaw();
    expect([session.isFrozen, notes()]).toEqual([false, ['freeze a', 'freeze b', 'thaw b', 'thaw a']]);
    expect(stepsOf(session)).toEqual(['v0 freeze done', 'v1 freeze done', 'v1 thaw done', 'v0 thaw done']);
  });

  it('ends by itself when its time is up', async () => {
    const session = await frozen(orderOf([scriptHook('a')], { limitMillis: 500 }));
    await session.over;
    expect([session.isFrozen, notes()]).toEqual([false, ['freeze a', 'thaw a']]);
  });

  it('is thawed when the agent is killed', async () => {
    const order = JSON.stringify(orderOf([scriptHook('a')]));
    const program = `const { FreezeSession } = require(${JSON.stringify(compiledWorker(__dirname, 'freeze-session'))});
      new FreezeSession({ order: ${order}, keeperFile: ${JSON.stringify(keeperFile)}, millis: () => performance.now() });`;
    const agent = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    await waitFor('the freeze', () => notes().includes('freeze a'));
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await waitFor('the thaw', () => notes().includes('thaw a'), 5_000);
  });

  it('is thawed by the agent when the keeper is killed, and counts no more', async () => {
    const session = await frozen(orderOf([scriptHook('a')]));
    process.kill(session.pid as number, 'SIGKILL');
    await session.over;
    expect([session.isFrozen, notes()]).toEqual([false, ['freeze a', 'thaw a']]);
  });

  it('is thawed at the next start when both were killed', async () => {
    const program = `const { FrozenVolumes } = require(${JSON.stringify(compiledWorker(__dirname, '../host/frozen-volumes'))});
      new FrozenVolumes(${JSON.stringify(folder.path)}).freeze({ freezeId: 'f', hooks: ${JSON.stringify(orderOf([scriptHook('a', `kill -9 $(cat ${folder.path}/agent); kill -9 $PPID`)]).hooks)}, isStrict: true, limitMillis: 20000 });`;
    const agent = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    writeFileSync(join(folder.path, 'agent'), String(agent.pid));
    await once(agent, 'exit');
    await waitFor('the freeze', () => notes().includes('freeze a'));
    const next = new FrozenVolumes(folder.path);
    await next.thawLeftovers();
    expect(notes()).toEqual(['freeze a', 'thaw a']);
    await next.thawLeftovers();
    expect(notes()).toHaveLength(2);
  });

  it('gives up a program that takes too long, and thaws it when it has ended', async () => {
    const slow = { ...scriptHook('slow', 'sleep 60'), secondsMax: 1 };
    const session = await frozen(orderOf([slow, scriptHook('never')]));
    await session.over;
    expect(stepsOf(session)).toEqual(['v0 freeze too-slow', 'v0 thaw done']);
    expect(notes()).toEqual(['freeze slow', 'thaw slow']);
  });

  it('that is ended while it begins is thawed after it came to pass', async () => {
    const session = new FreezeSession({ order: orderOf([scriptHook('late', `sleep 0.5; echo frozen >> ${noteFile()}`)]), keeperFile, millis: () => performance.now() });
    sessions.push(session);
    await waitFor('the freeze', () => notes().includes('freeze late'));
    await session.thaw();
    expect([session.isFrozen, notes()]).toEqual([false, ['freeze late', 'frozen', 'thaw late']]);
  });

  it('fails without what the script printed, and goes on where a lower level is allowed', async () => {
    const session = await frozen(orderOf([scriptHook('bad', 'echo secret >&2; exit 3'), scriptHook('good')], { isStrict: false }));
    expect(session.isFrozen).toBe(true);
    expect(session.results).toMatchObject([{ outcome: 'failed', reason: expect.stringMatching(/bad ended with code 3$/) }, { outcome: 'done' }]);
    await session.thaw();
    expect(notes()).toEqual(['freeze bad', 'freeze good', 'thaw good', 'thaw bad']);
  });

  it("refuses the file system of the agent's own data folder, and a program that is not there", async () => {
    const session = await frozen(orderOf([{ kind: 'fsfreeze', mountPoint: folder.path }, { kind: 'script', file: '/nowhere/script' }], { isStrict: false }));
    expect(session.results.map(({ reason }) => reason)).toEqual([expect.stringContaining("the agent's own data folder"), expect.stringContaining('could not be started')]);
  });

  it('is one at a time on a host', async () => {
    const host = new FrozenVolumes(folder.path);
    const hooks = orderOf([scriptHook('a')]).hooks;
    await host.freeze({ freezeId: 'f', hooks, isStrict: true, limitMillis: 20_000 });
    host.assertFrozen('f');
    await expect(host.freeze({ freezeId: 'g', hooks, isStrict: true, limitMillis: 20_000 })).rejects.toMatchObject({ code: 'freeze/busy' });
    await host.thaw('f');
    expect(() => host.assertFrozen('f')).toThrow(expect.objectContaining({ code: 'bookmark/thawed-too-early' }));
    await host.freeze({ freezeId: 'g', hooks, isStrict: true, limitMillis: 20_000 });
    await host.close();
    expect(notes()).toEqual(['freeze a', 'thaw a', 'freeze a', 'thaw a']);
  });
});

/** Speaks the guest agent's protocol, after what an earlier client left in the channel. */
function guestAgent(answer: (command: string) => object): { readonly server: Server; readonly socket: string; readonly commands: string[] } {
  const commands: string[] = [];
  const socket = join(folder.path, 'qga');
  const server = createServer((client) => {
    client.write('{"return": {"left": "over"}}\n');
    client.on('data', (data) => {
      for (const line of data.toString('latin1').replaceAll('\xff', '').trim().split('\n')) {
        const { execute, arguments: words } = JSON.parse(line) as { execute: string; arguments?: { id: number } };
        if (execute === 'guest-sync-delimited') client.write(Buffer.concat([Buffer.of(0xff), Buffer.from(`${JSON.stringify({ return: words?.id })}\n`)]));
        else {
          commands.push(execute);
          client.write(`${JSON.stringify(answer(execute))}\n`);
        }
      }
    });
  }).listen(socket);
  return { server, socket, commands };
}

describe('the hook of a guest agent', () => {
  it('freezes and thaws over its socket, past what was left in the channel', async () => {
    const { server, socket, commands } = guestAgent(() => ({ return: 2 }));
    const session = await frozen(orderOf([{ kind: 'guest-agent', socket }]));
    expect([session.isFrozen, commands]).toEqual([true, ['guest-fsfreeze-freeze']]);
    await session.thaw();
    expect(commands).toEqual(['guest-fsfreeze-freeze', 'guest-fsfreeze-thaw']);
    server.close();
  });

  it('fails with what the guest agent says, or when nobody listens', async () => {
    const { server, socket } = guestAgent(() => ({ error: { class: 'GenericError', desc: 'not supported here' } }));
    const refused = await frozen(orderOf([{ kind: 'guest-agent', socket }]));
    expect(refused.results).toMatchObject([{ outcome: 'failed', reason: 'the guest agent refused: not supported here' }]);
    server.close();
    const alone = await frozen(orderOf([{ kind: 'guest-agent', socket: join(folder.path, 'nobody') }]));
    expect(alone.results).toMatchObject([{ outcome: 'failed', reason: expect.stringContaining('the socket of the guest agent') }]);
  });
});
