// SPDX-License-Identifier: Apache-2.0
export { crashHistories, type CrashHistoryPlan, type CrashRound } from './crash-histories';
export { sectorBytes } from './crashable-content';
export {
  CrashableStorage,
  SimulatedCrash,
  type StorageFault,
  type StorageOperation,
  type StorageOperationKind,
  type StorageSnapshot,
} from './crashable-storage';
export { describeStorageContract, type StorageUnderTest } from './describe-storage-contract';
export { type Random, randomBelow, seededRandom } from './seeded-random';
