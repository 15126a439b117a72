// SPDX-License-Identifier: Apache-2.0
export { FileDevice } from './file-device';
export { MemoryDevice } from './memory-device';
