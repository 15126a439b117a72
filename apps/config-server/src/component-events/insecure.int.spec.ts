// SPDX-License-Identifier: Apache-2.0
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { componentRegisteredV1, type Host } from '@secondsite/contracts';
import { waitUntil } from '@secondsite/embedded-services';
import { startTestNats, startTestPostgres, temporaryFolder, type TestNats, type TestPostgres } from '@secondsite/embedded-services/testing';
import { MessageBus } from '@secondsite/messaging';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { readConfig } from '../config';
import { type ConfigServer, startConfigServer } from '../config-server';

describe('the development switch', () => {
  let postgres: TestPostgres;
  let nats: TestNats;
  let server: ConfigServer;
  let agent: MessageBus;
  const dataDir = temporaryFolder('insecure');

  beforeAll(async () => {
    [postgres, nats] = await Promise.all([startTestPostgres(), startTestNats()]);
    const config = readConfig({ SECONDSITE_DATA_DIR: dataDir, DATABASE_URL: postgres.url, NATS_URL: nats.url, SECONDSITE_INSECURE: '1' });
    server = await startConfigServer({ config, logger: pino({ level: 'silent' }) });
  }, 60_000);
  afterAll(async () => {
    await agent?.close();
    await server?.close();
    await Promise.all([postgres?.stop(), nats?.stop()]);
  });

  it('takes a component in when it first speaks', async () => {
    agent = await MessageBus.start({
      servers: [nats.url], identity: { tenantId: 'default', role: 'agent', componentId: 'web-1' }, pendingEventsFile: join(dataDir, 'pending'),
    });
    await agent.publishEventEventually(agent.events.make(componentRegisteredV1, { componentId: 'web-1', role: 'agent', version: '1', hostName: 'web' }));
    const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim();
    const host = await waitUntil(async () => {
      const response = await fetch(`${server.url}/v1/hosts`, { headers: { authorization: `Bearer ${token}` } });
      return ((await response.json()) as { hosts: Host[] }).hosts[0];
    }, { what: 'the host', timeoutMillis: 15_000 });
    expect(host).toMatchObject({ hostId: 'web-1', name: 'web', agent: 'enrolled' });
  });
});
