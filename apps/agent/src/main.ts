// SPDX-License-Identifier: Apache-2.0
import { createLogger, endProcessGracefully, startTelemetry } from '@secondsite/telemetry';
import { type RunningComponent, startComponent } from './component';
import { readConfig } from './config';

const SHUTDOWN_MILLIS_MAX = 30_000;

async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger({ serviceName: 'agent', level: config.logLevel });
  const { host, port } = config.metricsListen;
  const telemetry = await startTelemetry({ serviceName: 'agent', otlpEndpoint: config.otlpEndpoint, traceRatio: config.traceRatio, metricsListen: `${host}:${port}` });
  const running: { component?: RunningComponent } = {};
  endProcessGracefully({
    logger: log,
    graceMillisMax: SHUTDOWN_MILLIS_MAX,
    shutdown: async () => {
      await running.component?.close();
      await telemetry.shutdown();
    },
  });
  const component = await startComponent(config, { log, metricsUrl: telemetry.metricsUrl });
  running.component = component;
  telemetry.readiness.add('volumes', () => component.notReadyReason());
  log.info({ metricsUrl: telemetry.metricsUrl }, 'ready');
}

void main();
