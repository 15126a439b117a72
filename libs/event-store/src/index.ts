// SPDX-License-Identifier: Apache-2.0
export { appendEvents, type AppendOutcome, type AppendRequest } from './append-events';
export { type CatchUpOptions, startCatchUpProjection } from './catch-up-projection';
export { consumeOnce, forgetConsumed } from './consume-once';
export { databaseError, isDatabaseUnavailable } from './database-error';
export { EventFeed, type EventFeedOptions, type FeedLag } from './event-feed';
export { type EventPublisher, type EventRelayOptions, relayName, startEventRelay } from './event-relay';
export { type Addition, EventStore, type EventStoreOptions, EventStoreTransaction } from './event-store';
export { feedLag } from './feed-lag';
export { type EventDatabaseOptions, eventStoreMigrations, openEventDatabase } from './open-event-database';
export type { Projection } from './projection';
export { type EventQuery, hasEvent, queryEvents, readAll, readStream, type StreamAddress } from './read-events';
export { hashTables, type RebuildReport, rebuildProjections, type RebuiltProjection } from './rebuild-projections';
export type { RecordedEvent } from './recorded-event';
export type { StoreLog } from './store-log';
