// SPDX-License-Identifier: Apache-2.0
export { FakeMasterTarget } from './fake-master-target';
export { GatedWire } from './gated-wire';
export { changeSetBytes, dataOf, type SampleSet } from './sample-change-sets';
export { waitUntil } from './wait-until';
