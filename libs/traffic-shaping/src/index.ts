// SPDX-License-Identifier: Apache-2.0
export { bytesPerSecondAt } from './weekly-schedule';
export { type Flow, type LinkClock, ShapedLink, type Transfer } from './shaped-link';
