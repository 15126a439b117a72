// SPDX-License-Identifier: Apache-2.0
export { chooseCongestionControl } from './congestion-control';
export { descriptorOf, directSocket, type ReadTarget, stopReading } from './direct-socket';
