// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, KIB } from '@secondsite/units';

/** What is found again: aligned in the volume, as file systems align (ADR 24). */
export const BLOCK_BYTES = 4 * KIB;

/** Whose content may stand for whose. Sender and target of a referring set have the same scope, or nothing of it is found. */
export interface DeduplicationScope {
  readonly tenantId: string;
  /** Default BLOCK_BYTES. */
  readonly blockBytes?: ByteCount | undefined;
}

export function blockBytesOf({ blockBytes = BLOCK_BYTES }: DeduplicationScope): ByteCount {
  return blockBytes;
}
