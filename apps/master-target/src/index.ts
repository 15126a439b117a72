// SPDX-License-Identifier: Apache-2.0
export type { PairEvent, PairStatus } from './pair/pair-types';
export type { TargetPairOptions } from './pair/pair-parts';
export { TargetPair } from './pair/target-pair';
export { type ServedView, TargetServer, type TargetServerOptions } from './target/target-server';
