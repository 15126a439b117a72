// SPDX-License-Identifier: Apache-2.0
import type { CurrentEvent } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import type { DataSource, EntityManager } from 'typeorm';
import { appendEvents, type AppendOutcome } from './append-events';
import { databaseError } from './database-error';
import type { Projection } from './projection';
import { type EventQuery, hasEvent, queryEvents, readStream } from './read-events';
import type { RecordedEvent } from './recorded-event';

export interface EventStoreOptions {
  readonly tenantId: string;
  /** Brought forward in the transaction that appends, so they are never behind. */
  readonly projections?: readonly Projection[];
  /** Source of own events; events of other sources came from the bus and are not published again. Absent: all are published. */
  readonly ownSource?: string;
}

/** The event store of one tenant, with its read models. */
export class EventStore {
  constructor(readonly dataSource: DataSource, readonly options: EventStoreOptions) {}

  /** All or nothing: events, read models and whatever else the work writes through `manager`. Throws `database/unavailable` when it is away. */
  async transaction<Result>(work: (transaction: EventStoreTransaction) => Promise<Result>): Promise<Result> {
    try {
      return await this.dataSource.transaction((manager) => work(new EventStoreTransaction(manager, this.options)));
    } catch (cause) {
      throw databaseError('run a transaction', cause);
    }
  }

  async read(streamId: string): Promise<{ readonly version: number; readonly events: readonly CurrentEvent[] }> {
    try {
      return await new EventStoreTransaction(this.dataSource.manager, this.options).read(streamId);
    } catch (cause) {
      throw databaseError('read a stream', cause);
    }
  }

  async query(query: Omit<EventQuery, 'tenantId'>): Promise<RecordedEvent[]> {
    try {
      return await queryEvents(this.dataSource.manager, { ...query, tenantId: this.options.tenantId });
    } catch (cause) {
      throw databaseError('query events', cause);
    }
  }
}

export interface Addition {
  readonly streamId: string;
  readonly expectedVersion: number | 'any';
  readonly events: readonly CurrentEvent[];
}

export class EventStoreTransaction {
  constructor(readonly manager: EntityManager, private readonly options: EventStoreOptions) {}

  /** Oldest event first, in newest versions; `version` is 0 for a stream that does not exist. */
  async read(streamId: string): Promise<{ readonly version: number; readonly events: readonly CurrentEvent[] }> {
    const { version, events } = await readStream(this.manager, { tenantId: this.options.tenantId, streamId });
    return { version, events: events.map((recorded) => recorded.event) };
  }

  has(eventId: string): Promise<boolean> {
    return hasEvent(this.manager, eventId);
  }

  /** Appends and brings the read models forward; says when the stream has moved on. Nothing is done for events that are there already. */
  async tryAppend(addition: Addition): Promise<AppendOutcome> {
    const { tenantId, ownSource, projections = [] } = this.options;
    const toRelay = ownSource === undefined || addition.events.every((event) => event.source === ownSource);
    const outcome = await appendEvents(this.manager, { ...addition, tenantId, toRelay });
    if (outcome.outcome !== 'appended') return outcome;
    for (const event of addition.events) for (const projection of projections) await projection.apply(event, this.manager);
    return outcome;
  }

  /** As `tryAppend`; throws OperationError `event-store/conflict` (retryable) when the stream has moved on. */
  async append(addition: Addition): Promise<void> {
    const outcome = await this.tryAppend(addition);
    if (outcome.outcome !== 'conflict') return;
    throw new OperationError({
      code: 'event-store/conflict', operation: 'append events', retryable: true, hint: 'Somebody else changed the same thing; read it and decide again.',
      context: { streamId: addition.streamId, expectedVersion: outcome.expectedVersion, actualVersion: outcome.actualVersion },
    });
  }
}
