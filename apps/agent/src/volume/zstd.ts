// SPDX-License-Identifier: Apache-2.0
import type { Compress } from '@secondsite/change-set';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

const compressBuffer = promisify(zstdCompress);
const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** zstd level 1 in the thread pool. */
export const compressZstd: Compress = (parts) => compressBuffer(Buffer.concat(parts), options);
