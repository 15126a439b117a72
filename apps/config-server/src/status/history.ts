// SPDX-License-Identifier: Apache-2.0
import type { EventContext, HistoryEntry } from '@secondsite/contracts';
import type { EventStore, RecordedEvent } from '@secondsite/event-store';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findPlan } from '../read-models/find';
import { historyEntry } from './event-summary';

const entriesMax = 5_000;

/** The past, as the events tell it. */
export class History {
  constructor(private readonly store: EventStore, private readonly directories: DirectoryCache) {}

  /** Everything about a plan, its pairs, their bookmarks and views, oldest first; also of a removed plan. The newest 5000 of each kind. */
  async ofPlan(reference: string): Promise<HistoryEntry[]> {
    const directory = await this.directories.load();
    const { planId } = findPlan(directory, reference, { includeRemoved: true });
    const pairIds = new Set(directory.pairs.filter((pair) => pair.planId === planId).map((pair) => pair.pairId));
    const [own, recovery] = await Promise.all([
      this.store.query({ subjects: [planId, ...pairIds], order: 'newest-first', limit: entriesMax }),
      this.store.query({ context: 'recovery', order: 'newest-first', limit: entriesMax }),
    ]);
    const concerned = recovery.filter(({ event: { data } }) => ('planId' in data && data.planId === planId) || ('pairId' in data && pairIds.has(data.pairId)));
    const byPosition = new Map([...own, ...concerned].map((recorded) => [recorded.position, recorded]));
    return [...byPosition.values()].sort((left, right) => left.position - right.position).map(entry);
  }

  /** The newest events, newest first. */
  async newest({ context, limit }: { readonly context: EventContext | undefined; readonly limit: number }): Promise<HistoryEntry[]> {
    return (await this.store.query({ context, order: 'newest-first', limit })).map(entry);
  }
}

function entry({ event }: RecordedEvent): HistoryEntry {
  return historyEntry(event);
}
