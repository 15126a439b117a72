// SPDX-License-Identifier: Apache-2.0
import { type BookmarkCut, createBookmarkOperation } from '@secondsite/contracts';
import { fact } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { isOperationError } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import type { CommandOrigin } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { PairRow } from '../read-models/directory';
import { findPlan, pairsOfPlan } from '../read-models/find';
import type { RecoveryParts } from './views';

export interface CreatedBookmark {
  readonly bookmarkId: string;
  readonly name: string;
  readonly planId: string;
  readonly time: string;
  readonly heldMillis: number;
  readonly volumes: { readonly volumeId: string; readonly volumeName: string }[];
}

interface Cut {
  readonly time: string;
  readonly heldMillis: number;
  readonly cuts: readonly BookmarkCut[];
}

/** Bookmarks on demand: the agent of each host cuts its volumes at one instant. */
export class BookmarkService {
  constructor(private readonly parts: RecoveryParts) {}

  /** Throws what an agent answers, or RefusedRequest `plan/paused`; a failure is recorded. */
  async create(wish: { readonly plan: string; readonly name: string }, origin: CommandOrigin): Promise<CreatedBookmark> {
    const directory = await this.parts.directories.load();
    const plan = findPlan(directory, wish.plan);
    if (plan.state === 'paused') throw paused(plan.name);
    const pairs = pairsOfPlan(directory, plan.planId);
    const bookmark = { bookmarkId: `bookmark-${randomBytes(5).toString('hex')}`, name: wish.name, level: 'user', planId: plan.planId } as const;
    try {
      const made = await this.#cutAll(pairs, bookmark);
      await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.bookmark-created.v1', { ...bookmark, ...made, cuts: [...made.cuts] })));
      const { time, heldMillis } = made;
      const { bookmarkId, name, planId } = bookmark;
      return { bookmarkId, name, planId, time, heldMillis, volumes: pairs.map(({ volumeId, volumeName }) => ({ volumeId, volumeName })) };
    } catch (error) {
      await this.#recordFailure(bookmark, { error, origin });
      throw error;
    }
  }

  /** Hosts are cut at the same moment as far as messages allow; each host exactly. The time is that of the last cut. */
  async #cutAll(pairs: readonly PairRow[], bookmark: { readonly bookmarkId: string; readonly name: string; readonly level: 'user'; readonly planId: string }): Promise<Cut> {
    const hosts = [...Map.groupBy(pairs, (pair) => pair.hostId)];
    const replies = await Promise.all(
      hosts.map(([componentId, own]) =>
        this.parts.bus.request(createBookmarkOperation, { componentId }, { ...bookmark, volumeIds: own.map((pair) => pair.volumeId) }),
      ),
    );
    return {
      time: replies.map((reply) => reply.time).sort().at(-1) as string,
      heldMillis: Math.max(...replies.map((reply) => reply.heldMillis)),
      cuts: replies.flatMap((reply) => reply.cuts),
    };
  }

  async #recordFailure(
    bookmark: { readonly bookmarkId: string; readonly name: string; readonly planId: string }, { error, origin }: { readonly error: unknown; readonly origin: CommandOrigin },
  ): Promise<void> {
    const { bookmarkId, name, planId } = bookmark;
    const [code, reason] = isOperationError(error) ? [error.code, error.hint] : ['internal', 'an unknown error, see the log'];
    await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.bookmark-failed.v1', { bookmarkId, name, planId, code, reason })));
  }
}

function paused(name: string): RefusedRequest {
  return new RefusedRequest({ status: 409, code: 'plan/paused', detail: `plan ${name} is paused`, hint: 'Resume it first; a bookmark needs data mode.' });
}
