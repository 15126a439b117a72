// SPDX-License-Identifier: Apache-2.0
/**
 * Facts that components publish come into the event store here: each once (by its id, and because the deciders know repetitions), with the
 * time and actor it came with. Facts of this server itself are left out: they are in the store already.
 */
import type { componentRegisteredV1, CurrentEvent, EventOf } from '@secondsite/contracts';
import type { EventStore } from '@secondsite/event-store';
import { findHost, inventoryDecider, type InventoryFact, pairDecider, replay, type ReportedPairFact } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import type { Logger } from 'pino';
import type { CommandRunner, UnitOfWork } from '../commands/command-runner';
import { streams } from '../commands/streams';

export type PairReport = Extract<CurrentEvent, { type: ReportedPairFact['type'] }>;
type ComponentRegistered = EventOf<typeof componentRegisteredV1>;

export interface ComponentEventsParts {
  readonly commands: CommandRunner;
  readonly store: EventStore;
  readonly ownSource: string;
  readonly logger: Logger;
  readonly insecure: boolean;
}

export class ComponentEvents {
  constructor(private readonly parts: ComponentEventsParts) {}

  register(event: ComponentRegistered): Promise<void> {
    return this.#once(event, async (unit) => {
      if (this.parts.insecure) await this.#admit(event, unit);
      await unit.decideOn(event, { decider: inventoryDecider, streamId: streams.inventory }, { kind: 'register-component', component: event.data });
    });
  }

  recordReport(event: PairReport): Promise<void> {
    const aggregate = { decider: pairDecider, streamId: streams.pair(event.data.pairId) };
    return this.#once(event, (unit) => unit.decideOn(event, aggregate, { kind: 'record', fact: event }));
  }

  keepRefusal(event: CurrentEvent): Promise<void> {
    return this.#once(event, (unit) => unit.keep(streams.security, event));
  }

  /** A bookmark or view that was asked for here is recorded here; the component may tell of it too. */
  keepRecovery(event: CurrentEvent): Promise<void> {
    return this.#once(event, async (unit) => {
      if (!(await this.#isRecorded(event))) await unit.keep(streams.recovery, event);
    });
  }

  /** For people and the history of the plan; nothing is decided by it. */
  keepForHistory(event: CurrentEvent): Promise<void> {
    return this.#once(event, (unit) => unit.keep(streams.recovery, event));
  }

  async #once(event: CurrentEvent, take: (unit: UnitOfWork) => Promise<void>): Promise<void> {
    if (event.source === this.parts.ownSource) return;
    const origin = { actor: event.actor, correlationId: event.correlationid, causationId: event.id, traceparent: event.traceparent };
    try {
      await this.parts.commands.run(origin, async (unit) => {
        if (!(await unit.transaction.has(event.id))) await take(unit);
      });
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      // A pair or component that was removed meanwhile, or never existed: nothing can be done with its news.
      this.parts.logger.warn({ type: event.type, id: event.id, code: error.refusal.code }, 'component event refused');
    }
  }

  /** Development switch: without certificates nobody enrols, so a component is taken in when it first speaks. */
  async #admit({ data, time }: ComponentRegistered, unit: UnitOfWork): Promise<void> {
    const { componentId, role, hostName: name } = data;
    const { events } = await unit.transaction.read(streams.inventory);
    const known = replay(inventoryDecider, events as unknown as readonly InventoryFact[]);
    if (known.componentRoles.has(componentId)) return;
    const aggregate = { decider: inventoryDecider, streamId: streams.inventory };
    if (role === 'agent' && findHost(known, componentId) === undefined) await unit.decide(aggregate, { kind: 'add-host', hostId: componentId, name });
    await unit.decide(aggregate, { kind: 'enrol-component', component: { componentId, role, name, expiresAt: time } });
  }

  async #isRecorded({ type, subject }: CurrentEvent): Promise<boolean> {
    return (await this.parts.store.query({ types: [type], subjects: [subject], order: 'newest-first', limit: 1 })).length > 0;
  }
}
