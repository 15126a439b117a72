// SPDX-License-Identifier: Apache-2.0
// What stands still is thawed: when it is asked for, when the agent is gone, when the time is up, when a freeze fails. Runs in a process of its
// own, so that no end of the agent leaves anything frozen.
import type { FreezeHook, HookResult } from '@secondsite/contracts';
import { isOperationError } from '@secondsite/units';
import type { Freezer } from './freezer';

/** A hook of a volume. */
export interface VolumeHook {
  readonly volumeId: string;
  readonly hook: FreezeHook;
}

/** From the agent to the keeper, one line of JSON; a second line, `thaw`, ends it. */
export interface FreezeOrder {
  /** In the order of freezing. */
  readonly hooks: readonly VolumeHook[];
  /** Stop at the first failure: a lower level is not wanted. */
  readonly isStrict: boolean;
  readonly limitMillis: number;
  readonly ownFolder: string;
}

export type ThawCause = 'asked' | 'agent-gone' | 'time-limit' | 'freeze-failed';

/** From the keeper to the agent, lines of JSON. */
export type KeeperReport =
  | { readonly kind: 'step'; readonly result: HookResult }
  | { readonly kind: 'frozen' }
  | { readonly kind: 'thawing'; readonly cause: ThawCause }
  | { readonly kind: 'thawed' };

export interface KeeperParts {
  readonly freezerOf: (hook: FreezeHook) => Freezer;
  /** Resolves when everything shall be thawed; never rejects. */
  readonly ended: Promise<ThawCause>;
  /** Must not throw, also when nobody listens any more. */
  readonly report: (report: KeeperReport) => void;
  readonly millis: () => number;
  /** After so many tries to thaw. */
  readonly pause: (tried: number) => Promise<unknown>;
}

interface Begun {
  readonly one: VolumeHook;
  readonly freezer: Freezer;
}

/** With the pauses between them: a quarter of an hour. */
const THAW_TRIES = 100;

/** Resolves when everything that was begun is thawed, or was tried often. */
export async function keepFrozen(order: FreezeOrder, parts: KeeperParts): Promise<void> {
  const { ended, report } = parts;
  const { begun, cause } = await freezeAll(order, parts);
  if (!cause) report({ kind: 'frozen' });
  report({ kind: 'thawing', cause: cause ?? (await ended) });
  await thawInsistently(begun.reverse(), parts);
  report({ kind: 'thawed' });
}

/** `cause`: why it ended before everything was tried. */
async function freezeAll({ hooks, isStrict }: FreezeOrder, parts: KeeperParts): Promise<{ readonly begun: Begun[]; readonly cause?: ThawCause }> {
  const begun: Begun[] = [];
  for (const one of hooks) {
    const freezer = parts.freezerOf(one.hook);
    const result = await Promise.race([told(one, 'freeze', parts, () => freezer.freeze()), parts.ended.then(() => undefined)]);
    if (result) parts.report({ kind: 'step', result });
    if (result?.outcome !== 'failed' || freezer.thawsAfterFailure) begun.push({ one, freezer });
    if (!result) return { begun, cause: await parts.ended };
    if (result.outcome !== 'done' && isStrict) return { begun, cause: 'freeze-failed' };
  }
  return { begun };
}

/** One after the other; what cannot be thawed is tried again when the others go on. */
async function thawInsistently(begun: readonly Begun[], parts: KeeperParts): Promise<void> {
  let left = begun;
  for (let tried = 1; left.length > 0; tried++) {
    const failed: Begun[] = [];
    for (const each of left) {
      const result = await told(each.one, 'thaw', parts, () => each.freezer.thaw());
      if (result.outcome === 'done' || tried === THAW_TRIES) parts.report({ kind: 'step', result });
      else failed.push(each);
    }
    left = failed;
    if (left.length > 0) await parts.pause(tried);
  }
}

async function told({ volumeId, hook }: VolumeHook, step: HookResult['step'], { millis }: KeeperParts, act: () => Promise<void>): Promise<HookResult> {
  const started = millis();
  const result = (outcome: HookResult['outcome']): HookResult => ({ volumeId, hook: hook.kind, step, outcome, millis: millis() - started });
  try {
    await act();
    return result('done');
  } catch (error) {
    const reason = isOperationError(error) ? error.hint : 'an unexpected error';
    return { ...result(isOperationError(error, 'hook/too-slow') ? 'too-slow' : 'failed'), reason };
  }
}
