// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';

interface FailureKind {
  readonly code: string;
  readonly retryable: boolean;
  readonly hint: string;
}

const noSpace: FailureKind = { code: 'storage/no-space', retryable: true, hint: 'Free space on this file system or enlarge it; work goes on by itself.' };
const notFound: FailureKind = { code: 'storage/not-found', retryable: false, hint: 'Check the path.' };
const notPermitted: FailureKind = { code: 'storage/not-permitted', retryable: false, hint: 'Give this user the right to read and write the path.' };
const readOnly: FailureKind = { code: 'storage/read-only', retryable: false, hint: 'The file system takes no changes, often after its disk failed: check the kernel log, the disk and the file system, mount it again, then restart the process.' };
const ioError: FailureKind = { code: 'storage/io-error', retryable: false, hint: 'Check the disk and the kernel log, then restart the process.' };

const kinds: Readonly<Record<string, FailureKind>> = {
  ENOSPC: noSpace,
  EDQUOT: noSpace,
  EFBIG: noSpace,
  ENOENT: notFound,
  ENOTDIR: notFound,
  EACCES: notPermitted,
  EPERM: notPermitted,
  EROFS: readOnly,
};

/** Translates an error of `node:fs`, or the name of an errno, to the codes of the storage port. */
export function storageFailure(cause: unknown, where: { readonly operation: string; readonly path: string }): OperationError {
  const name = typeof cause === 'string' ? cause : errorName(cause);
  return new OperationError({
    ...(kinds[name] ?? ioError),
    operation: where.operation,
    context: { path: where.path, errno: name },
    cause: typeof cause === 'string' ? new Error(cause) : cause,
  });
}

/** True when `node:fs` failed with that errno, e.g. `ENOENT`. */
export function failedWith(error: unknown, name: string): boolean {
  return errorName(error) === name;
}

// Not by instanceof: an error made in another realm or thread is an instance of another Error.
function errorName(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
