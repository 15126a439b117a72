// SPDX-License-Identifier: Apache-2.0
/**
 * Facts that components publish come into the event store here: each once (by its id, and because the deciders know repetitions), with the
 * time and actor it came with. Facts of this server itself are left out; change-set-applied, which comes every second, goes to live status only.
 */
import type { CurrentEvent } from '@secondsite/contracts';
import type { EventStore } from '@secondsite/event-store';
import { findHost, inventoryDecider, type InventoryFact, pairDecider, replay, type ReportedPairFact } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import type { Logger } from 'pino';
import type { CommandRunner, UnitOfWork } from '../commands/command-runner';
import type { LiveStatus } from '../live/live-status';
import { streams } from '../commands/streams';

export class ComponentEvents {
  constructor(private readonly parts: { readonly commands: CommandRunner; readonly live: LiveStatus; readonly store: EventStore; readonly ownSource: string; readonly logger: Logger; readonly insecure: boolean }) {}

  /** Resolves when the event is dealt with, throws when it should be delivered again. */
  async handle(event: CurrentEvent): Promise<void> {
    if (event.source === this.parts.ownSource) return;
    if (event.type === 'secondsite.replication.change-set-applied.v2') return this.parts.live.apply(event.data);
    try {
      const origin = { actor: event.actor, correlationId: event.correlationid, causationId: event.id, traceparent: event.traceparent };
      await this.parts.commands.run(origin, (unit) => this.#take(event, unit));
    } catch (error) {
      if (!(error instanceof RefusedRequest)) throw error;
      // A pair or component that was removed meanwhile, or never existed: nothing can be done with its news.
      this.parts.logger.warn({ type: event.type, id: event.id, code: error.refusal.code }, 'component event refused');
    }
  }

  async #take(event: CurrentEvent, unit: UnitOfWork): Promise<void> {
    if (await unit.transaction.has(event.id)) return;
    if (event.type === 'secondsite.inventory.component-registered.v1') {
      if (this.parts.insecure) await this.#admit(event, unit);
      await unit.decideOn(event, { decider: inventoryDecider, streamId: streams.inventory }, { kind: 'register-component', component: event.data });
    } else if (isPairReport(event)) {
      await unit.decideOn(event, { decider: pairDecider, streamId: streams.pair(event.data.pairId) }, { kind: 'record', fact: event });
    } else if (event.type === 'secondsite.security.peer-refused.v1') {
      await unit.keep(streams.security, event);
    } else if (event.type.startsWith('secondsite.recovery.') && !(await this.#isRecorded(event))) {
      await unit.keep(streams.recovery, event);
    }
  }

  /** Development switch: without certificates nobody enrols, so a component is taken in when it first speaks. */
  async #admit({ data, time }: Extract<CurrentEvent, { type: 'secondsite.inventory.component-registered.v1' }>, unit: UnitOfWork): Promise<void> {
    const { componentId, role, hostName: name } = data;
    const { events } = await unit.transaction.read(streams.inventory);
    const known = replay(inventoryDecider, events as unknown as readonly InventoryFact[]);
    if (known.componentIds.has(componentId)) return;
    const aggregate = { decider: inventoryDecider, streamId: streams.inventory };
    if (role === 'agent' && findHost(known, componentId) === undefined) await unit.decide(aggregate, { kind: 'add-host', hostId: componentId, name });
    await unit.decide(aggregate, { kind: 'enrol-component', component: { componentId, role, name, expiresAt: time } });
  }

  /** A bookmark or view that was asked for here is recorded here; the component may tell of it too. */
  async #isRecorded({ type, subject }: CurrentEvent): Promise<boolean> {
    return (await this.parts.store.query({ types: [type], subjects: [subject], order: 'newest-first', limit: 1 })).length > 0;
  }
}

const pairReports: ReadonlySet<string> = new Set<ReportedPairFact['type']>([
  'secondsite.replication.resync-started.v1', 'secondsite.replication.resync-read.v1', 'secondsite.replication.differential-sync-reached.v1',
  'secondsite.replication.bitmap-mode-entered.v1', 'secondsite.replication.bitmap-mode-left.v1', 'secondsite.replication.flow-control-started.v1',
  'secondsite.replication.flow-control-ended.v1', 'secondsite.replication.change-set-refused.v1', 'secondsite.replication.resync-required.v1',
]);

function isPairReport(event: CurrentEvent): event is Extract<CurrentEvent, { type: ReportedPairFact['type'] }> {
  return pairReports.has(event.type);
}
