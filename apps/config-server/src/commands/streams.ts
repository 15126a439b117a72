// SPDX-License-Identifier: Apache-2.0
/** Streams of the event store: one consistency boundary each. */
export const streams = {
  inventory: 'inventory',
  security: 'security',
  plan: (planId: string): string => `plan-${planId}`,
  pair: (pairId: string): string => `pair-${pairId}`,
  alerts: (subjectId: string): string => `alerts-${subjectId}`,
  /** Bookmarks, views and refused points. */
  recovery: 'recovery',
} as const;
