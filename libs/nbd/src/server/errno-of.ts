// SPDX-License-Identifier: Apache-2.0
import { nbdErrno } from '../protocol';

const errnoByCode: Readonly<Record<string, number>> = {
  'storage/no-space': nbdErrno.ENOSPC,
  'storage/io-error': nbdErrno.EIO,
  'storage/read-only': nbdErrno.EPERM,
  'storage/not-permitted': nbdErrno.EPERM,
  'storage/out-of-range': nbdErrno.EINVAL,
  'storage/unsupported': nbdErrno.ENOTSUP,
  'storage/no-memory': nbdErrno.ENOMEM,
  'service/shutting-down': nbdErrno.ESHUTDOWN,
  ENOSPC: nbdErrno.ENOSPC,
  EDQUOT: nbdErrno.ENOSPC,
  EROFS: nbdErrno.EPERM,
  EOPNOTSUPP: nbdErrno.ENOTSUP,
  ENOMEM: nbdErrno.ENOMEM,
};

/** The code of an operating failure: an OperationError's, or one of the system's such as ENOSPC. Undefined for faults of the code. */
export function failureCodeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string') return undefined;
  return error.code.startsWith('ERR_') ? undefined : error.code;
}

/** The NBD error for a device's failure, by its code: the part after the slash decides when the whole is unknown; else EIO. */
export function errnoOf(error: unknown): number {
  const code = failureCodeOf(error) ?? '';
  const last = code.split('/').pop() ?? '';
  return errnoByCode[code] ?? errnoByCode[`storage/${last}`] ?? errnoByCode[`service/${last}`] ?? nbdErrno.EIO;
}
