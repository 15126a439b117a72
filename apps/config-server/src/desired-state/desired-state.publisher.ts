// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the desired-state documents in the bucket equal to what the read models say. Level-triggered: whatever happened, the documents are
 * computed from scratch and put where they differ; a failure is tried again, and everything is checked now and then anyway.
 */
import type { DataPlaneRole } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { desiredAgentState, desiredMasterTargetState, desiredProcessServerState, type DesiredStateSources } from '@secondsite/protection';
import type { Logger } from 'pino';
import type { LiveStatus } from '../live/live-status';
import type { Directory } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { keptPairs, livePairs } from '../read-models/find';
import type { ResyncQueue } from '../resync/resync-queue';

export interface DesiredStatePublisherParts {
  readonly bus: MessageBus;
  readonly directories: DirectoryCache;
  readonly live: LiveStatus;
  readonly queue: ResyncQueue;
  readonly logger: Logger;
  readonly retryMillis?: number;
  readonly checkMillis?: number;
}

export class DesiredStatePublisher {
  #wanted = false;
  #working: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #check: NodeJS.Timeout;

  constructor(private readonly parts: DesiredStatePublisherParts) {
    this.#check = setInterval(() => this.trigger(), parts.checkMillis ?? 15_000);
  }

  /** Something may have changed. Returns at once. */
  trigger(): void {
    if (this.#closed) return;
    this.#wanted = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Resolves when everything triggered so far is in the bucket or waits for its next try. */
  async settled(): Promise<void> {
    await this.#working;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#check);
    clearTimeout(this.#retry);
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#wanted && !this.#closed) {
      this.#wanted = false;
      try {
        await this.#publish();
      } catch (error) {
        this.parts.logger.warn({ err: error }, 'desired state not published; trying again');
        this.#retry = setTimeout(() => this.trigger(), this.parts.retryMillis ?? 1_000);
        return;
      }
    }
  }

  async #publish(): Promise<void> {
    const directory = await this.parts.directories.load();
    const sources = desiredStateSources(directory, this.parts);
    for (const { componentId, role } of directory.components) await this.#put({ componentId, role, sources });
  }

  async #put({ componentId, role, sources }: { readonly componentId: string; readonly role: DataPlaneRole; readonly sources: DesiredStateSources }): Promise<void> {
    const { bus } = this.parts;
    if (role === 'agent') await bus.putDesiredState({ role, componentId }, desiredAgentState(componentId, sources));
    else if (role === 'process-server') await bus.putDesiredState({ role, componentId }, desiredProcessServerState(componentId, sources));
    else await bus.putDesiredState({ role, componentId }, desiredMasterTargetState(componentId, sources));
  }
}

/** Addresses that components say now win over those they registered with. */
export function desiredStateSources(directory: Directory, { live, queue }: { readonly live: Pick<LiveStatus, 'url'>; readonly queue: ResyncQueue }): DesiredStateSources {
  const addresses = directory.components.flatMap(({ componentId, url }): [string, string][] => {
    const known = live.url(componentId) ?? url;
    return known === undefined ? [] : [[componentId, known]];
  });
  return {
    volumes: directory.volumes,
    plans: new Map(directory.plans.filter((plan) => plan.state !== 'removed').map((plan) => [plan.planId, { ...plan, paused: plan.state === 'paused' }])),
    pairs: [...livePairs(directory), ...keptPairs(directory)],
    removedPairs: directory.pairs.filter((pair) => pair.state === 'removed'),
    turns: queue.turns(directory),
    urls: new Map(addresses),
    priorities: new Map(directory.hosts.map(({ hostId, priority }) => [hostId, priority])),
    bandwidths: new Map(directory.components.flatMap(({ componentId, bandwidth }) => (bandwidth ? [[componentId, bandwidth] as const] : []))),
  };
}
