// SPDX-License-Identifier: Apache-2.0
export { MemoryReceiver } from './memory-receiver';
