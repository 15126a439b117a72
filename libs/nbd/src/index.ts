// SPDX-License-Identifier: Apache-2.0
export { type BlockDevice, type BlockSizes, type Completion, defaultBlockSizes, type Extent, type WriteFlags, type ZeroFlags } from './block-device';
export type { StatusExtent } from './codec/reply-codec';
export type { NbdClientOptions } from './client/client-channel';
export { type ByteRange, NbdClient } from './client/nbd-client';
export { formatNbdUri, type NbdTarget, parseNbdUri } from './client/nbd-uri';
export { nbdErrno } from './protocol';
export { errnoOf } from './server/errno-of';
export { type NbdExport, type NbdListenAddress, NbdServer, type NbdServerOptions, type NbdServerTls } from './server/nbd-server';
