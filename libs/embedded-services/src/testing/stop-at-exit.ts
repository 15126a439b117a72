// SPDX-License-Identifier: Apache-2.0
import { type ProcessIdentity, signalProcess } from '../process/process-identity';

const alive = new Set<ProcessIdentity>();
let registered = false;

/** Kills a test's server when the test run ends without having stopped it. */
export function stopAtExit(identity: ProcessIdentity): void {
  alive.add(identity);
  if (registered) return;
  registered = true;
  process.on('exit', () => {
    for (const process of alive) signalProcess(process, 'SIGKILL');
  });
}
