// SPDX-License-Identifier: Apache-2.0
export { humanBytes } from './output';
export { buildProgram } from './build-program';
