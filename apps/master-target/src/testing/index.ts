// SPDX-License-Identifier: Apache-2.0
export { PairDriver } from './pair-driver';
