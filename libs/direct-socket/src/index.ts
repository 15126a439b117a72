// SPDX-License-Identifier: Apache-2.0
export { descriptorOf, directSocket, type ReadTarget, stopReading } from './direct-socket';
