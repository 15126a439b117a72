// SPDX-License-Identifier: Apache-2.0
export { goldenRecords } from './golden-records';
