// SPDX-License-Identifier: Apache-2.0
export { describeReferringTarget, type ReferringTarget } from './referring-target-contract';
export { contentOfVolume, setOfBlocks } from './sample-sets';
