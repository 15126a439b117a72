// SPDX-License-Identifier: Apache-2.0
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '@secondsite/embedded-services';
import { readConfig } from '../config';
import { serviceFolder, supervisorName } from './cluster-layout';
import { Supervisor } from './supervisor';

/** The detached process behind `secondsite up`. Its log is what it prints. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);
  const supervisor = new Supervisor({ config, log });
  process.on('SIGTERM', () => {
    supervisor.stop();
    process.exit(0);
  });
  const readyFile = join(serviceFolder(config.home, supervisorName), 'ready.json');
  rmSync(readyFile, { force: true });
  await supervisor.start();
  writeWhole(readyFile, JSON.stringify({ pid: process.pid }));
  log('every part is ready');
  await supervisor.keepRunning();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
