// SPDX-License-Identifier: Apache-2.0
export { given } from './given';
export { agentReading, masterTargetReading, processServerReading } from './readings';
