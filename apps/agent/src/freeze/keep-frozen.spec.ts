// SPDX-License-Identifier: Apache-2.0
// The rule of thawing, for every pattern of failures and every moment at which it may end.
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hookFailed, hookTooSlow } from './hook-error';
import { type FreezeOrder, keepFrozen, type KeeperReport, type ThawCause } from './keep-frozen';

interface FakeHook {
  readonly freeze: 'done' | 'failed' | 'too-slow';
  readonly thawsAfterFailure: boolean;
  /** Thawing fails so often first. */
  readonly thawFailures: number;
}

interface Run {
  readonly hooks: readonly FakeHook[];
  readonly isStrict?: boolean;
  /** Everything ends while this hook is being frozen; else it is asked for when all were tried. */
  readonly endsAt?: number;
}

/** What the hooks saw, and what was reported. */
async function run({ hooks, isStrict = false, endsAt }: Run): Promise<{ calls: string[]; reports: KeeperReport[] }> {
  const calls: string[] = [];
  const reports: KeeperReport[] = [];
  const ended = Promise.withResolvers<ThawCause>();
  const order: FreezeOrder = {
    hooks: hooks.map((_, index) => ({ volumeId: `v${index}`, hook: { kind: 'script', file: `/${index}` } })), isStrict, limitMillis: 1000, ownFolder: '/',
  };
  const freezerOf = (hook: { kind: string; file?: string }) => {
    const index = Number(hook.file?.slice(1));
    const { freeze, thawsAfterFailure, thawFailures } = hooks[index] as FakeHook;
    let thaws = 0;
    return {
      thawsAfterFailure,
      freeze: async () => {
        calls.push(`freeze ${index}`);
        if (index === endsAt) {
          ended.resolve('agent-gone');
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (freeze === 'failed') throw hookFailed('x', 'no');
        if (freeze === 'too-slow') throw hookTooSlow('x', 1);
      },
      thaw: async () => {
        calls.push(`thaw ${index}`);
        if (thaws++ < thawFailures) throw hookFailed('x', 'not yet');
      },
    };
  };
  const report = (told: KeeperReport): void => {
    reports.push(told);
    if (told.kind === 'frozen') ended.resolve('asked');
  };
  await keepFrozen(order, { freezerOf: freezerOf, ended: ended.promise, report, millis: () => 0, pause: async () => undefined });
  return { calls, reports };
}

const done: FakeHook = { freeze: 'done', thawsAfterFailure: false, thawFailures: 0 };

describe('what stands still', () => {
  it('is frozen in order, thawed in reverse order, and told', async () => {
    const { calls, reports } = await run({ hooks: [done, done] });
    expect(calls).toEqual(['freeze 0', 'freeze 1', 'thaw 1', 'thaw 0']);
    expect(reports.map((told) => (told.kind === 'step' ? `${told.result.volumeId} ${told.result.step} ${told.result.outcome}` : told.kind)))
      .toEqual(['v0 freeze done', 'v1 freeze done', 'frozen', 'thawing', 'v1 thaw done', 'v0 thaw done', 'thawed']);
  });

  it('is thawed at the first failure when no lower level is wanted', async () => {
    const { calls, reports } = await run({ hooks: [done, { ...done, freeze: 'failed' }, done], isStrict: true });
    expect(calls).toEqual(['freeze 0', 'freeze 1', 'thaw 0']);
    expect(reports).toContainEqual({ kind: 'thawing', cause: 'freeze-failed' });
    expect(reports).not.toContainEqual({ kind: 'frozen' });
  });

  it('is thawed again and again until that succeeds', async () => {
    const { calls, reports } = await run({ hooks: [{ ...done, thawFailures: 3 }] });
    expect(calls.filter((call) => call === 'thaw 0')).toHaveLength(4);
    expect(reports).toContainEqual({ kind: 'step', result: expect.objectContaining({ step: 'thaw', outcome: 'done' }) });
  });

  it('goes on although another one cannot be thawed yet', async () => {
    const { calls } = await run({ hooks: [done, { ...done, thawFailures: 1 }] });
    expect(calls).toEqual(['freeze 0', 'freeze 1', 'thaw 1', 'thaw 0', 'thaw 1']);
  });

  it('never stays so: whatever was begun is thawed once, last first, whatever fails and whenever it ends', async () => {
    const hook = fc.record({ freeze: fc.constantFrom('done' as const, 'failed' as const, 'too-slow' as const), thawsAfterFailure: fc.boolean(), thawFailures: fc.constant(0) });
    await fc.assert(fc.asyncProperty(fc.array(hook, { maxLength: 5 }), fc.boolean(), fc.nat({ max: 6 }), async (hooks, isStrict, endsAt) => {
      const { calls, reports } = await run({ hooks, isStrict, endsAt });
      const tried = calls.filter((call) => call.startsWith('freeze')).map((call) => Number(call.split(' ')[1]));
      const mayBeFrozen = tried.filter((index) => index === endsAt || hooks[index]?.freeze !== 'failed' || hooks[index]?.thawsAfterFailure);
      expect(calls.slice(tried.length)).toEqual(mayBeFrozen.reverse().map((index) => `thaw ${index}`));
      expect(reports.at(-1)).toEqual({ kind: 'thawed' });
    }));
  });
});
