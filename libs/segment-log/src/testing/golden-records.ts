// SPDX-License-Identifier: Apache-2.0
import type { LogRecord } from '../log-record';

/** What the golden segment of version 1 holds. Never changes. */
export const goldenRecords: readonly LogRecord[] = [
  { key: { epoch: 1, sequence: 1 }, parts: [Buffer.from('first')] },
  { key: { epoch: 1, sequence: 2 }, parts: [Buffer.alloc(0)] },
  { key: { epoch: 0xffffffff, sequence: Number.MAX_SAFE_INTEGER }, parts: [Buffer.from('in '), Buffer.alloc(100, 'parts')] },
];
