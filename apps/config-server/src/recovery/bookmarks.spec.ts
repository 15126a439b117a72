// SPDX-License-Identifier: Apache-2.0
// Bookmarks of every level against agents that do what they are told to: what is recorded, and that everything is thawed whatever happens.
import { beforeEach, describe, expect, it } from '@jest/globals';
import type { FreezeHook, HookResult, Operation } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import { type BookmarkWish, BookmarkService } from './bookmarks';
import type { RecoveryParts } from './views';

const script: FreezeHook = { kind: 'script', file: '/etc/quiesce' };
const disk: FreezeHook = { kind: 'fsfreeze', mountPoint: '/srv' };
const origin = { actor: { kind: 'user', id: 'admin' } } as const;

interface Agents {
  /** By volume, in the order of freezing. */
  hooks: Record<string, FreezeHook[]>;
  /** Kinds that fail to freeze. */
  failing: FreezeHook['kind'][];
  /** Operations that fail, by name. */
  broken: string[];
}

let agents: Agents;
let calls: string[];
let secondsMax: number | undefined;
let facts: { type: string; data: Record<string, unknown> }[];

beforeEach(() => {
  agents = { hooks: { a1: [script, disk], b1: [] }, failing: [], broken: [] };
  calls = [];
  facts = [];
});

function result(volumeId: string, { kind: hook }: FreezeHook, step: HookResult['step'] = 'freeze'): HookResult {
  const outcome = step === 'freeze' && agents.failing.includes(hook) ? 'failed' : 'done';
  return { volumeId, hook, step, outcome, millis: 1, ...(outcome === 'failed' ? { reason: 'it is busy' } : {}) };
}

async function answer({ name }: Operation, { componentId }: { componentId: string }, request: Record<string, unknown>): Promise<unknown> {
  const { level, freezeId, volumeIds, freezeSecondsMax } = request as { level?: string; freezeId?: string; volumeIds?: string[]; freezeSecondsMax?: number };
  calls.push([name, componentId, ...(name === 'cut-held' ? [level, freezeId === undefined ? 'free' : 'frozen'] : [])].join(' '));
  secondsMax = freezeSecondsMax ?? secondsMax;
  if (agents.broken.includes(name)) throw new OperationError({ code: 'bookmark/thawed-too-early', operation: name, retryable: true, hint: 'too early' });
  const own = `${componentId}1`;
  const hooks = (agents.hooks[own] ?? []).filter(({ kind }) => level !== 'file-system' || kind === 'fsfreeze');
  if (name === 'freeze-volumes') return { results: hooks.map((hook) => result(own, hook)) };
  if (name === 'thaw-volumes') return { results: [...hooks.map((hook) => result(own, hook)), ...hooks.map((hook) => result(own, hook, 'thaw')).reverse()] };
  const time = `2026-01-01T00:00:0${componentId === 'a' ? 1 : 2}.000000Z`;
  const cuts = (volumeIds ?? [own]).map((volumeId) => ({ volumeId, pairId: `pair-${volumeId}`, epoch: 1, sequence: 7, time }));
  return { time, heldMillis: 2, cuts };
}

async function create(hosts: readonly string[], wish: Partial<BookmarkWish>): Promise<unknown> {
  const directory = {
    plans: [{ planId: 'p', name: 'shop', state: 'active' }],
    pairs: hosts.map((hostId) => ({ planId: 'p', hostId, volumeId: `${hostId}1`, volumeName: `${hostId} disk`, state: 'differential-sync' })),
    volumes: hosts.map((hostId) => ({ volumeId: `${hostId}1`, hooks: agents.hooks[`${hostId}1`] ?? [] })),
  };
  const parts = {
    bus: { request: answer }, directories: { load: async () => directory },
    commands: { run: async (_origin: unknown, act: (unit: object) => Promise<unknown>) => act({ append: async (_stream: string, fact: never) => void facts.push(fact) }) },
  };
  const service = new BookmarkService(parts as unknown as RecoveryParts);
  return service.create({ plan: 'shop', name: 'n', level: 'user', orLower: false, ...wish }, origin).catch((error: unknown) => error);
}

describe('a bookmark', () => {
  it('of one host without a freeze is one request to its agent', async () => {
    expect(await create(['a'], {})).toMatchObject({ level: 'user', heldMillis: 2, hooks: [] });
    expect(calls).toEqual(['create-bookmark a']);
  });

  it('of several hosts has the time of each volume and the hold of each host', async () => {
    const made = await create(['a', 'b'], {});
    expect(made).toMatchObject({ time: '2026-01-01T00:00:02.000000Z', holds: [{ hostId: 'a', heldMillis: 2 }, { hostId: 'b', heldMillis: 2 }] });
    expect(facts).toMatchObject([{ type: 'secondsite.recovery.bookmark-created.v2', data: { cuts: [{ volumeId: 'a1', time: expect.stringContaining(':01.') }, { volumeId: 'b1', time: expect.stringContaining(':02.') }] } }]);
  });

  it('of level application freezes where there are hooks, cuts all hosts, thaws and tells every step', async () => {
    expect(await create(['a', 'b'], { level: 'application' })).toMatchObject({ level: 'application' });
    expect(calls).toEqual(['freeze-volumes a', 'hold-writes a', 'hold-writes b', 'cut-held a application frozen', 'cut-held b application free', 'thaw-volumes a']);
    const { level, wantedLevel, hooks } = facts[0]?.data as { level: string; wantedLevel?: string; hooks: HookResult[] };
    expect([level, wantedLevel, hooks.map(({ hook, step }) => `${step} ${hook}`)]).toEqual(['application', undefined, ['freeze script', 'freeze fsfreeze', 'thaw fsfreeze', 'thaw script']]);
  });

  it('freezes no longer than its hooks may take, and a little for the cut', async () => {
    agents.hooks = { a1: [{ ...script, secondsMax: 30 }, disk], b1: [disk] };
    await create(['a', 'b'], { level: 'application' });
    expect(secondsMax).toBe(45);
    await create(['a', 'b'], { level: 'file-system' });
    expect(secondsMax).toBe(15);
  });

  it('is refused without a cut when a hook fails, and says which', async () => {
    agents.failing = ['script'];
    expect(await create(['a', 'b'], { level: 'application' })).toMatchObject({ code: 'bookmark/level-not-reached', hint: expect.stringContaining('hook script of volume a1: it is busy') });
    expect(calls).toEqual(['freeze-volumes a', 'thaw-volumes a']);
    expect(facts.map(({ type }) => type)).toEqual(['secondsite.recovery.bookmark-failed.v1']);
  });

  it('is made at the level that holds when a lower one is allowed, and says what was wanted', async () => {
    agents.failing = ['script'];
    await create(['a'], { level: 'application', orLower: true });
    agents.failing = ['script', 'fsfreeze'];
    await create(['a'], { level: 'application', orLower: true });
    expect(facts.map(({ data: { level, wantedLevel } }) => `${level} of ${wantedLevel}`)).toEqual(['file-system of application', 'crash of application']);
    expect(calls).toContain('cut-held a file-system frozen');
    expect(calls).toContain('cut-held a crash free');
  });

  it('thaws and is recorded as failed when a freeze or the cut fails', async () => {
    agents.broken = ['freeze-volumes'];
    await create(['a', 'b'], { level: 'application' });
    agents.broken = ['cut-held'];
    expect(await create(['a', 'b'], { level: 'application' })).toMatchObject({ code: 'bookmark/thawed-too-early' });
    expect(calls.filter((call) => call === 'thaw-volumes a')).toHaveLength(2);
    expect(facts.map(({ type }) => type)).toEqual(['secondsite.recovery.bookmark-failed.v1', 'secondsite.recovery.bookmark-failed.v1']);
  });

  it('stands when the host does not answer to the thaw: it thaws by itself', async () => {
    agents.broken = ['thaw-volumes'];
    expect(await create(['a'], { level: 'file-system' })).toMatchObject({ level: 'file-system', hooks: [{ hook: 'fsfreeze', step: 'freeze' }] });
  });

  it('of a level for which nothing could stand still is refused, or made at a lower one', async () => {
    agents.hooks = { a1: [disk] };
    expect(await create(['a'], { level: 'application' })).toMatchObject({ refusal: { code: 'bookmark/no-hooks' } });
    expect(calls).toEqual([]);
    expect(await create(['a'], { level: 'application', orLower: true })).toMatchObject({ level: 'file-system' });
    agents.hooks = {};
    expect(await create(['a'], { level: 'application', orLower: true })).toMatchObject({ level: 'crash', hooks: [] });
  });
});
