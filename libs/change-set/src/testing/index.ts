// SPDX-License-Identifier: Apache-2.0
export { applyToImage } from './apply-to-image';
export { changeSetArbitrary, entriesArbitrary, joinParts } from './change-set-arbitrary';
