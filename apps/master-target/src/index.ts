// SPDX-License-Identifier: Apache-2.0
export type { PairEvent, PairStatus } from './pair/pair-types';
export { TargetPair } from './pair/target-pair';
export type { TargetPairOptions } from './pair/target-pair-options';
export { type ServedView, TargetServer, type TargetServerOptions } from './target/target-server';
