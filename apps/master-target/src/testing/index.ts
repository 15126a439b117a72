// SPDX-License-Identifier: Apache-2.0
export type { PairEvent } from '../pair/pair-types';
export type { TargetPairOptions } from '../pair/pair-parts';
export { TargetPair } from '../pair/target-pair';
export { PairDriver } from './pair-driver';
