// SPDX-License-Identifier: Apache-2.0
import { type BookmarkLevel, type FreezeHook, type FrozenLevel, type HookResult, levelOfHook } from '@secondsite/contracts';

/**
 * What stood still: the wanted level when every hook up to it froze, and one of its own level was there; else file-system when all of that level
 * did; else crash. `asked`: the hooks that were to run.
 */
export function levelReached({ wanted, asked, results }: { readonly wanted: FrozenLevel; readonly asked: readonly FreezeHook[]; readonly results: readonly HookResult[] }): BookmarkLevel {
  const frozen = results.filter(({ step, outcome }) => step === 'freeze' && outcome === 'done');
  const hooksOf = (level: FrozenLevel) => asked.filter(({ kind }) => levelOfHook[kind] === level).length;
  const allFrozen = (level: FrozenLevel) => frozen.filter(({ hook }) => levelOfHook[hook] === level).length === hooksOf(level);
  if (wanted === 'application' && hooksOf('application') > 0 && allFrozen('application') && allFrozen('file-system')) return 'application';
  return hooksOf('file-system') > 0 && allFrozen('file-system') ? 'file-system' : 'crash';
}
