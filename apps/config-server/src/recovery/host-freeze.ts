// SPDX-License-Identifier: Apache-2.0
import { type FreezeHook, freezeVolumesOperation, type FrozenLevel, type HookResult, hookSecondsMaxDefault, thawVolumesOperation } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import type { HostToCut } from './cut-hosts';

/** After the freeze of the slowest host, for the cut. Should this server die now, the agents thaw by then. */
const CUT_SECONDS_MAX = 5;
const FREEZE_SECONDS_MAX = 600;
/** On the bus, besides the freeze itself. */
const ANSWER_MILLIS = 2_000;
/** Thawing is tried again for some seconds where it fails. */
const THAW_MILLIS_MAX = 30_000;

/** A host with what shall stand still there. */
export interface HostToFreeze extends HostToCut {
  readonly hooks: readonly FreezeHook[];
}

export interface FreezeWish {
  readonly freezeId: string;
  readonly level: FrozenLevel;
  readonly isStrict: boolean;
}

/** Applications and file systems that stand still on several hosts at one time. */
export class HostFreeze {
  readonly #results = new Map<string, readonly HookResult[]>();

  private constructor(private readonly bus: MessageBus, private readonly hosts: readonly HostToFreeze[], private readonly freezeId: string) {}

  /** Resolves when every host has tried. Throws what a host answers, or OperationError `bus/…`; then nothing stands still. */
  static async begin(bus: MessageBus, hosts: readonly HostToFreeze[], { freezeId, level, isStrict }: FreezeWish): Promise<HostFreeze> {
    const freeze = new HostFreeze(bus, hosts, freezeId);
    const freezeSecondsMax = secondsMaxOf(hosts);
    const wish = { freezeId, level, isStrict, freezeSecondsMax };
    const timeoutMillis = freezeSecondsMax * 1000 + ANSWER_MILLIS;
    const replies = await Promise.allSettled(hosts.map(async ({ hostId, volumeIds }) => {
      const { results } = await bus.request(freezeVolumesOperation, { componentId: hostId, timeoutMillis }, { ...wish, volumeIds: [...volumeIds] });
      freeze.#results.set(hostId, results);
    }));
    const failed = replies.find((reply) => reply.status === 'rejected');
    if (!failed) return freeze;
    await freeze.thaw();
    throw failed.reason;
  }

  /** What each hook did until now. */
  get results(): HookResult[] {
    return this.hosts.flatMap(({ hostId }) => this.#results.get(hostId) ?? []);
  }

  /** Resolves when everything goes on, as far as the hosts answer: one that does not thaws by itself. */
  async thaw(): Promise<void> {
    const { freezeId } = this;
    await Promise.allSettled(this.hosts.map(async ({ hostId }) => {
      const { results } = await this.bus.request(thawVolumesOperation, { componentId: hostId, timeoutMillis: THAW_MILLIS_MAX }, { freezeId });
      if (results.length > 0) this.#results.set(hostId, results);
    }));
  }
}

/** All hosts stand still until the slowest does. */
function secondsMaxOf(hosts: readonly HostToFreeze[]): number {
  const each = hosts.map(({ hooks }) => hooks.reduce((seconds, { secondsMax = hookSecondsMaxDefault }) => seconds + secondsMax, CUT_SECONDS_MAX));
  return Math.min(Math.max(CUT_SECONDS_MAX, ...each), FREEZE_SECONDS_MAX);
}
