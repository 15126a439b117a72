// SPDX-License-Identifier: Apache-2.0
export { compareAnswerOf, positionAnswerOf, putOutcomeOf } from './answers';
export { MemoryReceiver } from './memory-receiver';
