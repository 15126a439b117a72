// SPDX-License-Identifier: Apache-2.0
export { NbdTarget } from './nbd-target';
export { sharedGuestFolder } from './shared-guest';
export { makeTestIdentity } from './test-identity';
