// SPDX-License-Identifier: Apache-2.0
export { temporaryDirectory } from './temporary-directory';
