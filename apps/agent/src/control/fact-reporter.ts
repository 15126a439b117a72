// SPDX-License-Identifier: Apache-2.0
import type { BookmarkReport } from '../host/agent-host';
import type { ReplicationFact } from '../volume/replication-fact';

/** Port: how facts leave the agent. Must not throw and must not block; facts are kept while the bus is away. */
export interface FactReporter {
  replication(fact: ReplicationFact): void;
  bookmark(report: BookmarkReport): void;
}
