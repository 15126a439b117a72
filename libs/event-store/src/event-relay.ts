// SPDX-License-Identifier: Apache-2.0
import type { CloudEvent } from '@secondsite/contracts';
import { EventFeed } from './event-feed';
import type { StoreLog } from './store-log';

/** The bus, as the relay needs it. */
export interface EventPublisher {
  /** Resolves when the bus has the event durably. Drops repetitions by the event's id. */
  publishEvent(event: CloudEvent): Promise<unknown>;
}

export interface EventRelayOptions {
  readonly url: string;
  readonly publisher: EventPublisher;
  readonly pollMillis?: number;
  readonly log?: StoreLog;
}

export const relayName = 'relay';

/** Publishes the events of the store on the bus: the events table is the outbox. Runs until closed. */
export function startEventRelay({ publisher, ...options }: EventRelayOptions): EventFeed {
  const deliver = async (event: CloudEvent): Promise<void> => {
    await publisher.publishEvent(event);
  };
  return new EventFeed({ ...options, name: relayName, events: 'to-relay', deliver });
}
