// SPDX-License-Identifier: Apache-2.0
export { readBuffer } from './read-buffer';
export { readWholeFile, replaceFile } from './replace-file';
export type { StorageDirectory, StorageFile } from './storage-port';
