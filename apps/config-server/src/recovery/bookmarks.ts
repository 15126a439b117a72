// SPDX-License-Identifier: Apache-2.0
import { type BookmarkLevel, createBookmarkOperation, type FrozenLevel, type HookResult, levelOfHook } from '@secondsite/contracts';
import { fact, levelReached } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isOperationError, OperationError } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import type { CommandOrigin } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { Directory, PairRow, PlanRow } from '../read-models/directory';
import { findPlan, pairsOfPlan } from '../read-models/find';
import { busHostCutter } from './bus-host-cutter';
import { cutHosts, type HostBookmark, type HostCut } from './cut-hosts';
import { HostFreeze, type HostToFreeze } from './host-freeze';
import type { RecoveryParts } from './views';

export interface BookmarkWish {
  readonly plan: string;
  readonly name: string;
  readonly level: BookmarkLevel;
  /** Make it at the level that holds when a hook fails. */
  readonly orLower: boolean;
}

export interface CreatedBookmark {
  readonly bookmarkId: string;
  readonly name: string;
  readonly planId: string;
  /** That holds. */
  readonly level: BookmarkLevel;
  /** Of the newest cut. */
  readonly time: string;
  /** The longest of `holds`. */
  readonly heldMillis: number;
  readonly holds: readonly { readonly hostId: string; readonly heldMillis: number }[];
  readonly hooks: readonly HookResult[];
  readonly volumes: readonly { readonly volumeId: string; readonly volumeName: string; readonly time: string }[];
}

interface FrozenWish {
  readonly wanted: FrozenLevel;
  readonly orLower: boolean;
  readonly freezeId: string;
  readonly results: readonly HookResult[];
}

interface Made {
  readonly level: BookmarkLevel;
  readonly cuts: readonly (HostCut & { readonly hostId: string })[];
  readonly hooks: readonly HookResult[];
}

/** Bookmarks of plans, on demand and every so often: one cut through all hosts of the plan. */
export class BookmarkService {
  constructor(private readonly parts: RecoveryParts) {}

  /** Throws what an agent answers, `bookmark/level-not-reached`, or RefusedRequest `plan/paused`, `bookmark/no-hooks`; a failure is recorded. */
  async create(wish: BookmarkWish, origin: CommandOrigin): Promise<CreatedBookmark> {
    const directory = await this.parts.directories.load();
    const plan = findPlan(directory, wish.plan);
    if (plan.state === 'paused') throw paused(plan);
    const pairs = pairsOfPlan(directory, plan.planId);
    if (pairs.length === 0) throw noVolume(plan);
    const hosts = hostsOf(pairs, directory);
    if (isFrozenLevel(wish.level) && !wish.orLower && !hasHooks(hosts, wish.level)) throw noHooks(plan, wish.level);
    const bookmark: HostBookmark = { bookmarkId: `bookmark-${randomBytes(5).toString('hex')}`, name: wish.name, level: wish.level, planId: plan.planId };
    const made = await this.#make(hosts, bookmark, wish).catch(async (error: unknown) => {
      await this.#recordFailure(bookmark, { error, origin });
      throw error;
    });
    return this.#record(made, { bookmark, pairs, origin });
  }

  /** Without a freeze one host cuts alone, and waits for nobody while it holds its writes. */
  async #make(hosts: readonly HostToFreeze[], bookmark: HostBookmark, { level, orLower }: BookmarkWish): Promise<Made> {
    if (isFrozenLevel(level)) return this.#makeFrozen(hosts, bookmark, { level, orLower });
    const [first, ...others] = hosts;
    if (!first || others.length > 0) return { level, cuts: await cutHosts(hosts, bookmark, busHostCutter(this.parts.bus)), hooks: [] };
    const { hostId, volumeIds } = first;
    const cut = await this.parts.bus.request(createBookmarkOperation, { componentId: hostId }, { ...bookmark, volumeIds: [...volumeIds] });
    return { level, cuts: [{ ...cut, hostId }], hooks: [] };
  }

  /** Everything is thawed again whatever comes of it. */
  async #makeFrozen(hosts: readonly HostToFreeze[], bookmark: HostBookmark, { level, orLower }: { readonly level: FrozenLevel; readonly orLower: boolean }): Promise<Made> {
    const asked = hosts.map((host) => ({ ...host, hooks: host.hooks.filter(({ kind }) => level === 'application' || levelOfHook[kind] === level) }));
    const freezeId = bookmark.bookmarkId;
    const freeze = await HostFreeze.begin(this.parts.bus, asked.filter(({ hooks }) => hooks.length > 0), { freezeId, level, isStrict: !orLower });
    const made = await this.#cutFrozen(asked, bookmark, { wanted: level, orLower, freezeId, results: freeze.results }).finally(() => freeze.thaw());
    return { ...made, hooks: freeze.results };
  }

  async #cutFrozen(asked: readonly HostToFreeze[], bookmark: HostBookmark, { wanted, orLower, freezeId, results }: FrozenWish): Promise<Omit<Made, 'hooks'>> {
    const level = levelReached({ wanted, asked: asked.flatMap(({ hooks }) => hooks), results });
    if (level !== wanted && !orLower) throw levelNotReached(wanted, results);
    const hosts = asked.map((host) => (isFrozenLevel(level) && host.hooks.length > 0 ? { ...host, freezeId } : host));
    return { level, cuts: await cutHosts(hosts, { ...bookmark, level }, busHostCutter(this.parts.bus)) };
  }

  /** From here on a bookmark that counts only by its record counts. */
  async #record(
    { level, cuts: made, hooks }: Made, { bookmark, pairs, origin }: { readonly bookmark: HostBookmark; readonly pairs: readonly PairRow[]; readonly origin: CommandOrigin },
  ): Promise<CreatedBookmark> {
    const { bookmarkId, name, planId, level: wantedLevel } = bookmark;
    const time = made.map((cut) => cut.time).sort().at(-1) as string;
    const cuts = made.flatMap((cut) => cut.cuts);
    const holds = made.map(({ hostId, heldMillis }) => ({ hostId, heldMillis }));
    const created = { bookmarkId, name, planId, level, ...(level === wantedLevel ? {} : { wantedLevel }), time, cuts, holds, hooks: [...hooks] };
    await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.bookmark-created.v2', created)));
    const timeOf = new Map(cuts.map((cut) => [cut.volumeId, cut.time]));
    const volumes = pairs.map(({ volumeId, volumeName }) => ({ volumeId, volumeName, time: timeOf.get(volumeId) ?? time }));
    return { bookmarkId, name, planId, level, time, holds, hooks, heldMillis: Math.max(...holds.map((hold) => hold.heldMillis)), volumes };
  }

  async #recordFailure({ bookmarkId, name, planId }: HostBookmark, { error, origin }: { readonly error: unknown; readonly origin: CommandOrigin }): Promise<void> {
    const [code, reason] = isOperationError(error) ? [error.code, error.hint] : ['internal', 'an unknown error, see the log'];
    await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.bookmark-failed.v1', { bookmarkId, name, planId, code, reason })));
  }
}

function hostsOf(pairs: readonly PairRow[], { volumes }: Directory): HostToFreeze[] {
  return [...Map.groupBy(pairs, (pair) => pair.hostId)].map(([hostId, own]) => {
    const volumeIds = own.map((pair) => pair.volumeId);
    return { hostId, volumeIds, hooks: volumes.filter(({ volumeId }) => volumeIds.includes(volumeId)).flatMap(({ hooks }) => hooks) };
  });
}

function isFrozenLevel(level: BookmarkLevel): level is FrozenLevel {
  return level === 'file-system' || level === 'application';
}

function hasHooks(hosts: readonly HostToFreeze[], level: FrozenLevel): boolean {
  return hosts.some(({ hooks }) => hooks.some(({ kind }) => levelOfHook[kind] === level));
}

function paused({ name }: PlanRow): RefusedRequest {
  return new RefusedRequest({ status: 409, code: 'plan/paused', detail: `plan ${name} is paused`, hint: 'Resume it first; a bookmark needs data mode.' });
}

function noVolume({ name }: PlanRow): RefusedRequest {
  return new RefusedRequest({ status: 409, code: 'plan/no-volume', detail: `plan ${name} has no volume`, hint: 'Add one: secondsite plan add-volume.' });
}

function noHooks({ name }: PlanRow, level: FrozenLevel): RefusedRequest {
  const detail = `no volume of plan ${name} has a hook of level ${level}`;
  return new RefusedRequest({ status: 409, code: 'bookmark/no-hooks', detail, hint: 'Say what shall stand still with secondsite volume hooks set, or leave out the level.' });
}

function levelNotReached(wanted: FrozenLevel, results: readonly HookResult[]): OperationError {
  const failed = results.find(({ step, outcome }) => step === 'freeze' && outcome !== 'done');
  const why = failed ? `hook ${failed.hook} of volume ${failed.volumeId}: ${failed.reason ?? failed.outcome}` : 'not every hook had its turn in time';
  const hint = `${why}. Nothing was cut; put that right, or allow a lower level.`;
  return new OperationError({ code: 'bookmark/level-not-reached', operation: 'create bookmark', context: { level: wanted }, retryable: true, hint });
}
