// SPDX-License-Identifier: Apache-2.0
export { type LinkQuality, LossyLink } from './lossy-link';
export { NbdTarget } from './nbd-target';
export { sharedGuestFolder } from './shared-guest';
export { makeTestIdentity } from './test-identity';
