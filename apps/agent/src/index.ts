// SPDX-License-Identifier: Apache-2.0
export { startComponent } from './component';
export { type AgentConfig, readConfig } from './config';
export { AgentHost, type AgentHostOptions, type BookmarkReport, type BookmarkRequest } from './host/agent-host';
export { BufferBudget } from './volume/buffer-budget';
export { ProtectedVolume, type VolumeListener } from './volume/protected-volume';
export type { PairSettings, VolumeEnvironment, VolumeSettings, VolumeStatus } from './volume/volume-thread';
