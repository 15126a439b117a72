// SPDX-License-Identifier: Apache-2.0
export { ClusterMember, type EventOutlet, type JoinOptions } from './cluster-member';
export { type ComponentConfig, componentConfig, componentSchema, type ReceiverConfig, receiverConfig, receiverVariables } from './component-config';
export {
  type Address, addressSchema, type Environment, listSchema, nameSchema, observabilityVariables, parseEnvironment, switchSchema,
} from './environment';
export { refusedPeerReporter } from './refused-peer-reporter';
export { type ComponentProgram, type ComponentSurroundings, runComponent, type RunningComponent } from './run-component';
export { TelemetryReporter, type TelemetryReporterOptions } from './telemetry-reporter';
