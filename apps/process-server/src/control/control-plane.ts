// SPDX-License-Identifier: Apache-2.0
import type { Epoch, SequenceNumber } from '@secondsite/units';

/** What a process server tells the rest of Secondsite as events. */
export type ProcessServerFact =
  | { readonly kind: 'flow-control-started'; readonly pairId: string; readonly heldBytes: number }
  | { readonly kind: 'flow-control-ended'; readonly pairId: string; readonly seconds: number }
  | { readonly kind: 'resync-required'; readonly pairId: string; readonly reason: string }
  | { readonly kind: 'damage-found'; readonly pairId: string; readonly bytes: number }
  | {
      readonly kind: 'change-set-refused';
      readonly pairId: string;
      readonly epoch: Epoch;
      readonly sequence: SequenceNumber;
      readonly code: string;
      readonly reason: string;
    };

/** Port: how facts leave. Must not throw and must not block; facts are kept while the bus is away. */
export interface FactReporter {
  report(fact: ProcessServerFact): void;
}
