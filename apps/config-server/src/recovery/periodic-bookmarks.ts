// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the periodic bookmarks that need a coordinator: of plans over several hosts, and where something shall stand still. The others are made by
 * the agent, which goes on without this server.
 */
import { areCutByAgent } from '@secondsite/protection';
import { isoFromMicros } from '@secondsite/units';
import type { Logger } from 'pino';
import type { CommandOrigin } from '../commands/command-runner';
import type { Directory, PlanRow } from '../read-models/directory';
import { pairsOfPlan } from '../read-models/find';
import type { ServerClock } from '../server-clock';
import type { BookmarkService } from './bookmarks';

export interface PeriodicBookmarksParts {
  readonly bookmarks: Pick<BookmarkService, 'create'>;
  readonly directories: { load(): Promise<Directory> };
  readonly clock: Pick<ServerClock, 'now' | 'steadyMicros'>;
  readonly logger: Pick<Logger, 'warn'>;
}

const origin: CommandOrigin = { actor: { kind: 'system', id: 'consistency' } };

export class PeriodicBookmarks {
  /** By the steady clock. */
  readonly #dueAt = new Map<string, { readonly intervalSeconds: number; readonly at: number }>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;

  constructor(private readonly parts: PeriodicBookmarksParts, checkMillis = 1_000) {
    this.#timer = setInterval(() => {
      this.#looking ??= this.look()
        .catch((error: unknown) => parts.logger.warn({ err: error }, 'periodic bookmarks not made; trying again'))
        .finally(() => {
          this.#looking = undefined;
        });
    }, checkMillis);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Makes what is due. The first one of a plan is due an interval after it was seen; one that fails is recorded as such and left out. */
  async look(): Promise<void> {
    const { directories, clock } = this.parts;
    const plans = plansToCut(await directories.load());
    for (const planId of this.#dueAt.keys()) if (!plans.some((plan) => plan.planId === planId)) this.#dueAt.delete(planId);
    for (const plan of plans) {
      const { planId, consistencyIntervalSeconds: intervalSeconds } = plan;
      const due = this.#dueAt.get(planId);
      if (due && due.intervalSeconds === intervalSeconds && clock.steadyMicros() < due.at) continue;
      this.#dueAt.set(planId, { intervalSeconds, at: clock.steadyMicros() + intervalSeconds * 1e6 });
      if (due?.intervalSeconds === intervalSeconds) await this.#make(plan);
    }
  }

  async #make({ planId, consistencyLevel: level }: PeriodicPlan): Promise<void> {
    const { bookmarks, logger, clock } = this.parts;
    const name = `consistency ${isoFromMicros(clock.now())}`;
    await bookmarks.create({ plan: planId, name, level, orLower: true }, origin).catch((error: unknown) => logger.warn({ err: error, planId }, 'a periodic bookmark failed'));
  }
}

type PeriodicPlan = PlanRow & { readonly consistencyIntervalSeconds: number };

function plansToCut(directory: Directory): PeriodicPlan[] {
  return directory.plans.filter((plan): plan is PeriodicPlan => {
    if (plan.state !== 'active' || plan.consistencyIntervalSeconds === undefined) return false;
    const pairs = pairsOfPlan(directory, plan.planId);
    return pairs.length > 0 && !areCutByAgent(plan, pairs);
  });
}
