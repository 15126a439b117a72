// SPDX-License-Identifier: Apache-2.0
import { BlockLayout } from '@secondsite/block-checksums';
import type { DeduplicationScope } from '@secondsite/wan-deduplication';

/** A chunk is a region here, as in the product. */
export const LAYOUT = new BlockLayout(128);
export const REGION_BYTES = LAYOUT.chunkBytes;
/** Small enough for an application's write to cover some. */
export const SCOPE: DeduplicationScope = { tenantId: 'tenant', blockBytes: 128 };
