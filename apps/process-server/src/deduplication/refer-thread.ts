// SPDX-License-Identifier: Apache-2.0
import type { DeduplicationScope, ReferringSet } from '@secondsite/wan-deduplication';

export interface ReferThreadData {
  readonly scope: DeduplicationScope;
  /** Of the table of known blocks. */
  readonly memory: SharedArrayBuffer;
}

/** Requests to the thread that looks for known blocks. */
export interface ReferThread {
  requests: {
    /** `bytes` are shared where their memory is, else copied. */
    refer(input: { readonly bytes: Uint8Array; readonly target: string; readonly isWanted: boolean }): { readonly words: Uint32Array; readonly referring: ReferringSet | undefined };
  };
  events: object;
  notices: object;
}
