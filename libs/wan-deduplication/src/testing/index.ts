// SPDX-License-Identifier: Apache-2.0
export { sha256Now } from './sha256-now';
export { describeReferringTarget, type ReferringTarget } from './referring-target-contract';
export { contentOfVolume, setOfBlocks } from './sample-sets';
