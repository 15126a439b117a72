// SPDX-License-Identifier: Apache-2.0
// Numbers of the NBD protocol (doc/proto.md of the NetworkBlockDevice project), fixed-newstyle handshake and transmission phase.

export const handshake = {
  /** `NBDMAGIC`, `IHAVEOPT` */
  nbdMagic: 0x4e42444d41474943n,
  optionMagic: 0x49484156454f5054n,
  optionReplyMagic: 0x0003e889045565a9n,
  fixedNewstyle: 1,
  noZeroes: 2,
} as const;

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  starttls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

const replyError = 2 ** 31;

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  /** Replies at or above this number are errors. */
  firstError: replyError,
  unsupported: replyError + 1,
  policy: replyError + 2,
  invalid: replyError + 3,
  platform: replyError + 4,
  tlsRequired: replyError + 5,
  unknownExport: replyError + 6,
  shuttingDown: replyError + 7,
  blockSizeRequired: replyError + 8,
  tooBig: replyError + 9,
} as const;

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const exportFlag = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  rotational: 16,
  sendTrim: 32,
  sendWriteZeroes: 64,
  sendDf: 128,
  canMultiConn: 256,
  sendResize: 512,
  sendCache: 1024,
  sendFastZero: 2048,
} as const;

export const requestMagic = 0x25609513;
export const simpleReplyMagic = 0x67446698;
export const structuredReplyMagic = 0x668e33ef;

export const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, writeZeroes: 6, blockStatus: 7 } as const;

export const commandFlag = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const;

export const chunkFlag = { done: 1 } as const;

export const chunkType = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 32769, errorOffset: 32770 } as const;

/** Flags of an extent in the context `base:allocation`. */
export const allocationFlag = { hole: 1, zero: 2 } as const;

export const allocationContext = 'base:allocation';

/** Longest name or description on the wire, in bytes. */
export const stringBytesMax = 4096;

export const nbdErrno = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;
