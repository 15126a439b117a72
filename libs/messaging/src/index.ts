// SPDX-License-Identifier: Apache-2.0
export type { BusLog } from './bus-log';
export { type BusUser, busUser } from './bus-permissions';
export type { DeadLetter } from './dead-letters';
export type { DesiredStateAddress } from './desired-state-bucket';
export { DesiredStateWatcher } from './desired-state-watcher';
export { type ConsumeOptions, type Delivery, EventConsumer } from './event-consumer';
export { MessageBus, type MessageBusOptions } from './message-bus';
export { type BusTlsFiles, NatsLink, type NatsLinkOptions } from './nats-link';
export { type AddOptions, PendingEvents, type PendingEventsOptions } from './pending-events';
export { errorFromProblem, problemFromError } from './problem-error';
export type { PublishedEvent } from './publish-event';
export type { OperationHandler, RequestTarget } from './request-reply';
export type { TelemetryFilter } from './telemetry-channel';
export { ensureTopology, type TopologyOptions } from './topology';
export { type Instance, TwinWatch } from './twin-watch';
