// SPDX-License-Identifier: Apache-2.0
export { type ColdStoreUnderTest, describeColdStoreContract } from './describe-cold-store-contract';
export { type ColdFault, type ColdOperation, MemoryColdStore } from './memory-cold-store';
export { type HistoryOptions, type HistorySet, StreamHistory } from './stream-history';
export { SimpleApplier } from './simple-applier';
