// SPDX-License-Identifier: Apache-2.0
export { BufferBudget } from '../volume/buffer-budget';
export type { ChangeSetSender } from '../volume/change-set-shipper';
export { PairReplication, type PairReplicationOptions } from '../volume/pair-replication';
export type { ReplicationFact } from '../volume/replication-fact';
export { SenderRoute } from '../volume/sender-route';
export { SourceDisk } from '../volume/source-disk';
export { StreamTimes } from '../volume/stream-times';
export { VolumeDevice } from '../volume/volume-device';
export { FakeTarget } from './fake-target';
export { ReplicationBench } from './replication-bench';
