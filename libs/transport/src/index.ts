// SPDX-License-Identifier: Apache-2.0
export { BodyPool } from './body-pool';
export { allowEveryone, allowRoles, type Authorize } from './authorize';
export { ChangeSetClient, type ChangeSetClientOptions, type CompareOptions, type PutOptions } from './change-set-client';
export {
  type ChangeSetHandler,
  type ChangeSetKey,
  type CompareAnswer,
  type CompareOutcome,
  type CompareRequest,
  BLOCKS_MISSING,
  DAMAGED_RANGES_MAX,
  type DamagedRange,
  type CopyAnswer,
  type CopyOutcome,
  type CopyRequest,
  endsEpoch,
  type HeldOff,
  OLD_EPOCH,
  type PairPosition,
  type PositionAnswer,
  type PositionOutcome,
  type Progress,
  type PutOutcome,
  type Refusal,
  REPLICA_LACKS_BASE,
  type Stored,
  type StoreOutcome,
  type StoreRequest,
  type Unreachable,
} from './change-set-protocol';
export { type ChangeSetPlace, LateTraceQueue } from './late-traces';
export { ChangeSetServer, type ChangeSetServerOptions, type RefusedPeer, type ServerLimits } from './change-set-server';
