// SPDX-License-Identifier: Apache-2.0
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type NatsServiceOptions, startNats, stopNats } from '../nats/nats-service';
import { isRunning, signalProcess } from '../process/process-identity';
import { waitUntil } from '../process/wait-until';
import { stopAtExit } from './stop-at-exit';
import { temporaryFolder } from './temporary-folder';

export interface TestNats {
  readonly url: string;
  readonly dataDir: string;
  /** As a crash: SIGKILL. */
  kill(): Promise<void>;
  /** Back on the same port, with what it had stored. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

/** A real nats-server with JetStream for one spec. */
export async function startTestNats(options: Omit<NatsServiceOptions, 'dataDir'> = {}): Promise<TestNats> {
  const dataDir = join(temporaryFolder('nats'), 'nats');
  let service = await startNats({ ...options, dataDir });
  stopAtExit(service.process);
  return {
    url: service.url,
    dataDir,
    kill: async () => {
      signalProcess(service.process, 'SIGKILL');
      await waitUntil(() => !isRunning(service.process), { what: 'nats-server to die', timeoutMillis: 10_000 });
    },
    start: async () => {
      service = await startNats({ ...options, dataDir, port: service.port });
      stopAtExit(service.process);
    },
    stop: async () => {
      await stopNats(dataDir);
      rmSync(join(dataDir, '..'), { recursive: true, force: true });
    },
  };
}
