// SPDX-License-Identifier: Apache-2.0
export { regionBytesFor } from './bitmap-layout';
export type { BitmapRecovery } from './recover-bitmap';
export { RegionSet } from './region-set';
export { type BitmapOptions, type ByteRange, WriteIntentBitmap } from './write-intent-bitmap';
