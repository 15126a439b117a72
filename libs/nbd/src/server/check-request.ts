// SPDX-License-Identifier: Apache-2.0
import type { BlockSizes } from '../block-device';
import type { RequestHeader } from '../codec/request-codec';
import { command, commandFlag, nbdErrno } from '../protocol';

export interface RequestLimits {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly blockSizes: BlockSizes;
  /** Structured replies were agreed. */
  readonly structuredReplies: boolean;
  /** `base:allocation` was agreed. */
  readonly allocation: boolean;
}

const allowedFlags: Readonly<Record<number, number>> = {
  [command.read]: commandFlag.fua | commandFlag.df,
  [command.write]: commandFlag.fua,
  [command.disconnect]: 0xffff,
  [command.flush]: commandFlag.fua,
  [command.trim]: commandFlag.fua,
  [command.cache]: commandFlag.fua,
  [command.writeZeroes]: commandFlag.fua | commandFlag.noHole | commandFlag.fastZero,
  [command.blockStatus]: commandFlag.fua | commandFlag.reqOne,
};

/** 0 when the device may see the request, else the NBD error to answer with. Source: NBD protocol, "Request types", "Error values". */
export function checkRequest(header: Readonly<RequestHeader>, limits: RequestLimits): number {
  const { type, flags, offset, length } = header;
  const allowed = allowedFlags[type];
  if (allowed === undefined || (flags & ~allowed) !== 0) return nbdErrno.EINVAL;
  if (type === command.disconnect || type === command.flush) return 0;
  const changes = type === command.write || type === command.writeZeroes || type === command.trim;
  if (changes && limits.readOnly) return nbdErrno.EPERM;
  if (offset + length > limits.sizeBytes) return type === command.write || type === command.writeZeroes ? nbdErrno.ENOSPC : nbdErrno.EINVAL;
  const minimum = limits.blockSizes.minimum;
  if (minimum > 1 && (offset % minimum !== 0 || length % minimum !== 0)) return nbdErrno.EINVAL;
  if (type === command.read && length > limits.blockSizes.maximum) return nbdErrno.EINVAL;
  if (type === command.read && (flags & commandFlag.df) !== 0 && !limits.structuredReplies) return nbdErrno.EINVAL;
  return type === command.blockStatus && (!limits.allocation || length === 0) ? nbdErrno.EINVAL : 0;
}
