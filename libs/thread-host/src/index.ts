// SPDX-License-Identifier: Apache-2.0
export { compiledWorker } from './compiled-worker';
export { hostInThread, type HostedThread, type HostOptions, type ThreadExit } from './host-in-thread';
export { serveThread, type ThreadHandlers, type ThreadSide } from './serve-thread';
export { type ThreadContract, transferring, type TransferList } from './thread-contract';
