// SPDX-License-Identifier: Apache-2.0
export { FakeTarget } from './fake-target';
export { ReplicationBench } from './replication-bench';
