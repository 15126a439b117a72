// SPDX-License-Identifier: Apache-2.0
import { readEvent } from '@secondsite/contracts';
import type { DataSource } from 'typeorm';
import { consumeOnce } from './consume-once';
import { EventFeed } from './event-feed';
import { catchUpName, type Projection } from './projection';
import type { StoreLog } from './store-log';

export interface CatchUpOptions {
  readonly url: string;
  readonly dataSource: DataSource;
  readonly projection: Projection;
  readonly pollMillis?: number;
  readonly log?: StoreLog;
}

/** Keeps a read model that may be behind: follows the events from its checkpoint on, each applied exactly once. Runs until closed. */
export function startCatchUpProjection({ dataSource, projection, ...options }: CatchUpOptions): EventFeed {
  const name = catchUpName(projection.name);
  return new EventFeed({
    ...options, name, events: 'all',
    deliver: (event) => dataSource.transaction(async (manager) => {
      await consumeOnce(manager, { consumer: name, eventId: event.id }, () => projection.apply(readEvent(event), manager));
    }),
  });
}
