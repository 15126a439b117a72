// SPDX-License-Identifier: Apache-2.0
export { compressZstd, decompressZstd, recycleCompressed } from './zstd';
