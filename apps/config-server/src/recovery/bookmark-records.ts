// SPDX-License-Identifier: Apache-2.0
import type { PairPoints } from '@secondsite/contracts';
import type { EventStore } from '@secondsite/event-store';

/**
 * Which bookmarks count. The marker of a bookmark that cuts one host is enough; one that cuts several hosts counts when its record exists, which
 * is written once all of them were cut. So a cut that failed on the way is nowhere offered, although some streams carry its marker.
 */
export class BookmarkRecords {
  constructor(private readonly store: Pick<EventStore, 'query'>) {}

  /** The same points with those bookmarks only that count. */
  async onlyRecorded(points: readonly PairPoints[]): Promise<PairPoints[]> {
    const shared = new Set(points.flatMap(({ bookmarks }) => bookmarks.filter(({ hosts }) => hosts !== undefined).map(({ bookmarkId }) => bookmarkId)));
    const recorded = await this.#recordedOf([...shared]);
    return points.map((own) => ({ ...own, bookmarks: own.bookmarks.filter(({ bookmarkId }) => !shared.has(bookmarkId) || recorded.has(bookmarkId)) }));
  }

  async #recordedOf(bookmarkIds: readonly string[]): Promise<Set<string>> {
    if (bookmarkIds.length === 0) return new Set();
    const types = ['secondsite.recovery.bookmark-created.v2'];
    const records = await this.store.query({ types, subjects: bookmarkIds, order: 'oldest-first', limit: bookmarkIds.length });
    return new Set(records.map(({ event }) => event.subject));
  }
}
