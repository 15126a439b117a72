// SPDX-License-Identifier: Apache-2.0
export { sha256 } from './sha256';
export { sha256Now } from './sha256-now';
