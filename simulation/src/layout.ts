// SPDX-License-Identifier: Apache-2.0
import { BlockLayout } from '@secondsite/block-checksums';

/** A chunk is a region here, as in the product. */
export const LAYOUT = new BlockLayout(128);
export const REGION_BYTES = LAYOUT.chunkBytes;
