// SPDX-License-Identifier: Apache-2.0
export { type HistoryOptions, type HistorySet, StreamHistory } from './stream-history';
export { SimpleApplier } from './simple-applier';
