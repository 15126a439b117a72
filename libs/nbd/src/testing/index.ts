// SPDX-License-Identifier: Apache-2.0
export { FileDevice } from './file-device';
export { isListening } from './listening-socket';
export { MemoryDevice } from './memory-device';
