// SPDX-License-Identifier: Apache-2.0
import { findService, signalProcess, writeWhole } from '@secondsite/embedded-services';
import type { CliConfig } from '../config';
import { heldFile, serviceFolder, type ServiceName } from './cluster-layout';

const primarySite: readonly ServiceName[] = ['agent', 'process-server'];

/** The disaster of the demonstration: kill -9 of what runs at the primary site, which then stays away. */
export async function killPrimarySite({ home }: CliConfig): Promise<void> {
  for (const name of primarySite) {
    writeWhole(heldFile(home, name), 'the primary site is gone\n');
    const running = findService({ name, runDir: serviceFolder(home, name) });
    if (running) signalProcess(running, 'SIGKILL');
  }
}
