// SPDX-License-Identifier: Apache-2.0
export type { Accelerator } from './accelerator/accelerator';
export { guestComesUp, probeAccelerator, type ProbeOptions } from './accelerator/probe-accelerator';
export { bootGuest, type BootOptions, type GuestExit, type RunningGuest } from './boot/boot-guest';
export type { CommandResult } from './boot/command-channel';
export { type ConsoleLine, ConsoleLog } from './boot/console-log';
export { type NbdLocation, parseNbdUri } from './boot/disk-node';
export { diskDeviceId, diskNodeName, type GuestMode, type MachineOptions } from './boot/qemu-arguments';
export { buildGuest, type GuestImage } from './guest/build-guest';
export { createGuestDisk, type GuestDiskOptions } from './guest/create-guest-disk';
export { findQemu, type QemuPrograms, requireQemu } from './host-tools/find-qemu';
export { hostTimeMicros } from './host-tools/host-time';
export { QmpClient, type QmpConnectOptions } from './qmp/qmp-client';
export type { QmpArguments, QmpEvent } from './qmp/qmp-message';
export { attachMirror, type Attachment, type AttachOptions, type NeededResync } from './mirror/attach-mirror';
export { queryDiskBytes } from './mirror/block-graph';
export { Mirror, type MirrorLoss } from './mirror/mirror';
export { linkTlsFolder } from './boot/tls-folder';
