// SPDX-License-Identifier: Apache-2.0
export { readProblem } from './read-problem';
