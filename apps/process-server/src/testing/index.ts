// SPDX-License-Identifier: Apache-2.0
export { ByteBudget } from '../byte-budget';
export type { ProcessServerFact } from '../control/control-plane';
export { Deduplicator } from '../deduplication/deduplicator';
export { referToKnownBlocks } from '../deduplication/refer-to-known-blocks';
export { TrafficShaper } from '../forward/traffic-shaper';
export { PairRegistry } from '../pair-registry';
export { ChangeSetReceiver } from '../receive/change-set-receiver';
export { FreeSpaceGuard } from '../receive/free-space-guard';
export { readPairState } from '../spool/pair-state';
export type { Timers } from '../timers';
export { FakeMasterTarget } from './fake-master-target';
export { FakeReplicas } from './fake-replicas';
export { GatedWire } from './gated-wire';
export { changeSetBytes, dataOf, type SampleSet } from './sample-change-sets';
export { waitUntil } from './wait-until';
