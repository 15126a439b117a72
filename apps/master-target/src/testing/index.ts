// SPDX-License-Identifier: Apache-2.0
export type { PairEvent } from '../pair/pair-types';
export { TargetPair, type TargetPairOptions } from '../pair/target-pair';
export { PairDriver } from './pair-driver';
