// SPDX-License-Identifier: Apache-2.0
// One cut through several hosts in two steps. First every host holds its writes; only when all of them do is any of them cut, and each lets go with
// its own cut. A write that is acknowledged after some host let go is therefore held on every host that is not cut yet: no effect is before the
// cut whose cause is after it, whatever the hosts' clocks say. A host lets go by itself after `holdMillisMax` and then refuses the cut, so a
// coordinator that dies leaves nothing held, and a cut that is late fails instead of lying.
import type { BookmarkLevel, TimedBookmarkCut } from '@secondsite/contracts';
import { isOperationError, OperationError } from '@secondsite/units';

export interface HostToCut {
  readonly hostId: string;
  readonly volumeIds: readonly string[];
  /** The cut is refused when this freeze of the host is over before it. */
  readonly freezeId?: string;
}

export interface HostBookmark {
  readonly bookmarkId: string;
  readonly name: string;
  readonly level: BookmarkLevel;
  readonly planId: string;
}

export interface HostCut {
  readonly time: string;
  readonly heldMillis: number;
  readonly cuts: readonly TimedBookmarkCut[];
}

/** Port: the agents. Each throws what the agent answered, or OperationError `bus/…` when it does not answer in time. */
export interface HostCutter {
  hold(host: HostToCut, hold: { readonly holdId: string; readonly holdMillisMax: number }): Promise<void>;
  cut(host: HostToCut, cut: HostBookmark & { readonly holdId: string; readonly hosts: number }): Promise<HostCut>;
  release(host: HostToCut, holdId: string): Promise<void>;
  millis(): number;
  pause(): Promise<void>;
}

/** Writes shall wait for less than 10 ms, and the cut takes about a third of that. */
const HOLDING_MILLIS_GOAL = 7;
/** The last try goes on however long holding took: hosts far away are never quick. */
const TRIES = 5;
/** While a host is silent the others hold, so it is soon given up. */
const SILENCES_MAX = 3;
/** A host lets go by itself after so long: production does not wait for a coordinator. */
const HOLD_MILLIS_MAX = 150;

/** Cuts all hosts or throws the first failure; then none of the cuts counts, and all hosts go on. */
export async function cutHosts(hosts: readonly HostToCut[], bookmark: HostBookmark, cutter: HostCutter): Promise<(HostCut & { readonly hostId: string })[]> {
  const holdId = await holdAll(hosts, bookmark.bookmarkId, cutter);
  const cuts = await Promise.allSettled(hosts.map((host) => cutter.cut(host, { ...bookmark, holdId, hosts: hosts.length })));
  if (cuts.some(isRejected)) await releaseAll(hosts, holdId, cutter);
  return cuts.map((cut, index) => ({ ...valueOf(cut), hostId: hosts[index]?.hostId ?? '' }));
}

/** The hold under which all hosts wait. Every try has its own, so that a late answer to an earlier one means nothing. */
async function holdAll(hosts: readonly HostToCut[], bookmarkId: string, cutter: HostCutter): Promise<string> {
  let silences = 0;
  for (let tried = 1; ; tried++) {
    const holdId = `${bookmarkId}-${tried}`;
    const started = cutter.millis();
    const holds = await Promise.allSettled(hosts.map((host) => cutter.hold(host, { holdId, holdMillisMax: HOLD_MILLIS_MAX })));
    const failures = holds.flatMap((hold, index) => (isRejected(hold) ? [{ hostId: hosts[index]?.hostId ?? '', error: hold.reason as unknown }] : []));
    const isQuick = cutter.millis() - started <= HOLDING_MILLIS_GOAL;
    if (failures.length === 0 && (isQuick || tried >= TRIES)) return holdId;
    await releaseAll(hosts, holdId, cutter);
    if (failures.length > 0) silences += 1;
    const decisive = failures.find(({ error }) => !isOperationError(error, 'bus/timeout')) ?? (silences === SILENCES_MAX ? failures[0] : undefined);
    if (decisive) throw whyNotHeld(decisive);
    await cutter.pause();
  }
}

async function releaseAll(hosts: readonly HostToCut[], holdId: string, cutter: HostCutter): Promise<void> {
  await Promise.allSettled(hosts.map((host) => cutter.release(host, holdId)));
}

/** What the host answered, or that it did not. */
function whyNotHeld({ hostId, error }: { readonly hostId: string; readonly error: unknown }): unknown {
  if (!isOperationError(error, 'bus/timeout') && !isOperationError(error, 'bus/no-responder')) return error;
  const hint = `Host ${hostId} did not hold its writes in time; the others were let go. Look at its agent and the way to it, then repeat the bookmark.`;
  return new OperationError({ code: 'bookmark/host-silent', operation: 'cut hosts', context: { hostId }, retryable: true, hint, cause: error });
}

function isRejected(result: PromiseSettledResult<unknown>): result is PromiseRejectedResult {
  return result.status === 'rejected';
}

function valueOf<Value>(result: PromiseSettledResult<Value>): Value {
  if (result.status === 'fulfilled') return result.value;
  throw result.reason;
}
