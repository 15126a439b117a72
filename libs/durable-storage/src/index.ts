// SPDX-License-Identifier: Apache-2.0
export type { StorageDirectory, StorageFile } from './storage-port';
