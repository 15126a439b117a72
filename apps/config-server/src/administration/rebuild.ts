// SPDX-License-Identifier: Apache-2.0
import { type EventStore, rebuildProjections } from '@secondsite/event-store';
import type { RestRoutes, RouteResponse } from '@secondsite/contracts';
import type { DirectoryCache } from '../read-models/directory-cache';
import { readModels } from '../read-models/apply-event';

type RebuildResult = RouteResponse<RestRoutes['rebuildReadModels']>;

/** Builds the read models from zero (`secondsite admin rebuild`) and compares them with what was there. */
export class ReadModelRebuild {
  constructor(private readonly store: EventStore, private readonly directories: DirectoryCache) {}

  async run(): Promise<RebuildResult> {
    try {
      const { eventCount, projections } = await rebuildProjections(this.store.dataSource, readModels);
      const rows = await Promise.all(projections.map(({ name }) => this.#countRows(name)));
      return {
        events: eventCount,
        identical: projections.every((projection) => projection.identical),
        readModels: projections.map((projection, index) => ({ ...projection, rows: rows[index] ?? 0 })),
      };
    } finally {
      this.directories.invalidate();
    }
  }

  async #countRows(name: string): Promise<number> {
    const tables = readModels.find((model) => model.name === name)?.tables ?? [];
    const sql = tables.map((table) => `select count(*)::int as n from ${table}`).join(' union all ');
    const counts: { n: number }[] = await this.store.dataSource.query(sql);
    return counts.reduce((sum, { n }) => sum + n, 0);
  }
}
