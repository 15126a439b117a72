// SPDX-License-Identifier: Apache-2.0
import type { ConsistencyLevel } from '@secondsite/contracts';

/**
 * Whether the agent makes the periodic bookmarks of a plan by itself, also while the configuration server is away: where it is the only host of
 * the plan and nothing has to stand still. All others are made by the configuration server.
 */
export function areCutByAgent({ consistencyLevel = 'crash' }: { readonly consistencyLevel?: ConsistencyLevel | undefined }, pairs: readonly { readonly hostId: string }[]): boolean {
  return consistencyLevel === 'crash' && new Set(pairs.map((pair) => pair.hostId)).size === 1;
}
