// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';

/** The parts of a local cluster in the order in which they are started; stopped the other way round. */
export const serviceNames = ['postgres', 'nats', 'config-server', 'process-server', 'master-target', 'agent'] as const;
export type ServiceName = (typeof serviceNames)[number];

export const supervisorName = 'supervisor';

/** Folder of one part: its data, its log and its pid file. */
export function serviceFolder(home: string, name: ServiceName | typeof supervisorName): string {
  return join(home, name);
}

/** A part named in a file of this folder is not started again when it ends. */
export function heldFile(home: string, name: ServiceName): string {
  return join(home, 'held', name);
}

/** Main file of an app of this repository. */
export function appMain(app: string): string {
  return join(__dirname, '..', '..', '..', app, 'dist', 'main.js');
}
