// SPDX-License-Identifier: Apache-2.0
import { constants, fstatSync, openSync, closeSync } from 'node:fs';
import { OperationError } from '@secondsite/units';
import { DiskFile } from './disk-file';
import { storageFailure } from './storage-failure';

/**
 * Opens a raw image or a block device, both as StorageFile: size, reads, writes, holes (SEEK_DATA; a device is all data).
 * Throws OperationError `storage/not-found`, `storage/not-permitted`, or `storage/not-a-disk` for folders and the like.
 */
export function openBlockFile(path: string, options: { readonly readOnly?: boolean } = {}): DiskFile {
  const operation = 'open disk';
  let fd: number;
  try {
    fd = openSync(path, options.readOnly === true ? constants.O_RDONLY : constants.O_RDWR);
  } catch (error) {
    throw storageFailure(error, { operation, path });
  }
  const stats = fstatSync(fd);
  if (stats.isFile() || stats.isBlockDevice()) return new DiskFile({ fd, path });
  closeSync(fd);
  throw new OperationError({
    code: 'storage/not-a-disk',
    operation,
    context: { path },
    retryable: false,
    hint: 'Give a raw image file or a block device.',
  });
}
