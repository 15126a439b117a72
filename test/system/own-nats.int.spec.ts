// SPDX-License-Identifier: Apache-2.0
// A NATS server that somebody else runs, set up as the README says: it gets its certificate and its list of users from the cluster.
import { rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TestCluster } from '@secondsite/cli/testing';
import { findNats, findNatsServer, freePort, startService, stopService, waitUntil, writeWhole } from '@secondsite/embedded-services';
import { temporaryFolder } from '@secondsite/embedded-services/testing';

interface AuthorityAnswer {
  readonly caFile: string;
  readonly natsCertificateFile: string;
  readonly natsKeyFile: string;
  readonly natsUsersFile: string;
}

describe('a cluster on a NATS server of the user', () => {
  const runDir = temporaryFolder('own-nats');
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await TestCluster.start({}, async (prepared) => {
      const files = await prepared.cli<AuthorityAnswer>('authority');
      const port = await freePort();
      const pidFile = join(runDir, 'nats.pid');
      const config = join(runDir, 'nats.conf');
      writeWhole(config, [
        `listen: "127.0.0.1:${port}"`, `jetstream { store_dir: "${join(runDir, 'store')}" }`, `pid_file: "${pidFile}"`,
        `tls { cert_file: "${files.natsCertificateFile}", key_file: "${files.natsKeyFile}", ca_file: "${files.caFile}", verify_and_map: true }`,
        `authorization { include "${relative(runDir, files.natsUsersFile)}" }`,
      ].join('\n'));
      await startService({ name: 'nats', runDir, command: await findNatsServer(), args: ['-c', config] });
      await waitUntil(() => findNats(pidFile), { what: 'nats-server', timeoutMillis: 10_000 });
      return { SECONDSITE_NATS_URL: `tls://127.0.0.1:${port}`, SECONDSITE_NATS_PID_FILE: pidFile };
    });
  }, 120_000);
  afterAll(async () => {
    await cluster?.stop();
    await stopService({ name: 'nats', runDir });
    rmSync(runDir, { recursive: true, force: true });
  }, 60_000);

  it('has every component online there, each with its own rights, and starts no other NATS', async () => {
    const { components } = await cluster.status();
    expect(components.map(({ role, state }) => `${role} ${state}`).sort()).toEqual(['agent online', 'master-target online', 'process-server online']);
    expect((await cluster.processes()).map(({ name }) => name)).not.toContain('nats');
  });
});
