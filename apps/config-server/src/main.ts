// SPDX-License-Identifier: Apache-2.0
import { openDirectory, writeJsonAtomically } from '@secondsite/disk-files';
import { createLogger, endProcessGracefully, startTelemetry } from '@secondsite/telemetry';
import { join } from 'node:path';
import { readConfig, readInitConfig } from './config';

const serviceName = 'config-server';

/** `main.js init` prepares authority and certificates and ends; without it the server runs until SIGTERM. */
async function main(): Promise<void> {
  const command = process.argv[2] ?? 'serve';
  if (command === 'init') await init();
  else if (command === 'serve') await serve();
  else throw new Error(`There is no command ${command}; use init or serve.`);
}

async function init(): Promise<void> {
  const config = readInitConfig(process.env);
  const { prepareAuthority } = await import('./security/prepare-authority.js');
  const { prepareNats } = await import('./bus-access/nats-files.js');
  const { authority } = await prepareAuthority(config);
  const files = await prepareNats(config, authority);
  process.stdout.write(`${JSON.stringify({ authorityFingerprint: authority.fingerprint, nats: files, adminTokenFile: join(config.dataDir, 'admin-token') })}\n`);
}

/** Tracing is started before Nest, pg and http are loaded, so that they can be instrumented. */
async function serve(): Promise<void> {
  const config = readConfig(process.env);
  const { logLevel, otlpEndpoint, traceRatio, metricsListen, dataDir, insecure } = config;
  const logger = createLogger({ serviceName, level: logLevel });
  if (insecure) logger.warn('SECONDSITE_INSECURE=1: plain HTTP and NATS; everybody on the network can read the admin token. For development only.');
  const telemetry = await startTelemetry({
    serviceName, otlpEndpoint, traceRatio, metricsListen: `${metricsListen.host}:${metricsListen.port}`, instrumentations: ['http', 'pg', 'nestjs'],
  });
  const { startConfigServer } = await import('./config-server.js');
  await openDirectory(dataDir);
  const stopping = new AbortController();
  const starting = startConfigServer({ config, logger, signal: stopping.signal });
  endProcessGracefully({
    logger,
    shutdown: async () => {
      stopping.abort();
      const [started] = await Promise.allSettled([starting]);
      if (started.status === 'fulfilled') await started.value.close();
      await telemetry.shutdown();
    },
  });
  telemetry.readiness.add('service', () => 'still starting');
  const server = await starting;
  telemetry.readiness.add('service', () => undefined);
  telemetry.readiness.add('bus', () => (server.health.isBusConnected() ? undefined : 'NATS cannot be reached'));
  telemetry.readiness.add('database', async () => server.health.checkDatabase());
  const { metricsUrl } = telemetry;
  await writeJsonAtomically(join(dataDir, 'ready.json'), { pid: process.pid, url: server.url, metricsUrl, role: serviceName, tenantId: config.tenantId });
  logger.info({ url: server.url, metricsUrl }, 'ready');
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
