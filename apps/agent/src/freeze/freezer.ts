// SPDX-License-Identifier: Apache-2.0
/** One hook at work. */
export interface Freezer {
  /** What it names stands still when this resolves. Rejects with OperationError `hook/failed` or `hook/too-slow`. */
  freeze(): Promise<void>;
  /** It goes on when this resolves. Waits, as long as its limit, for a freeze that was given up but may still come to pass. Repeatable. */
  thaw(): Promise<void>;
  /** Whether something may stand still although `freeze` failed. */
  readonly thawsAfterFailure: boolean;
}
