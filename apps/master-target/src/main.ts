// SPDX-License-Identifier: Apache-2.0
import { createLogger, endProcessGracefully, startTelemetry } from '@secondsite/telemetry';
import { type RunningComponent, startComponent } from './component';
import { readConfig } from './config';

/** Runs until SIGTERM. Ends with 1 and a reason when it cannot start or go on; whoever started it starts it again. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const { logLevel, otlpEndpoint, traceRatio, metricsListen } = config;
  const log = createLogger({ serviceName: 'master-target', level: logLevel });
  const telemetry = await startTelemetry({
    serviceName: 'master-target', otlpEndpoint, traceRatio, metricsListen: `${metricsListen.host}:${metricsListen.port}`,
  });
  const running: { component?: RunningComponent } = {};
  endProcessGracefully({
    logger: log,
    shutdown: async () => {
      await running.component?.close();
      await telemetry.shutdown();
    },
  });
  const onFatal = (error: unknown): never => {
    log.fatal({ err: error }, 'the master target cannot go on');
    return process.exit(1);
  };
  telemetry.readiness.add('data plane', () => (running.component ? running.component.notReadyReason() : 'still starting'));
  const component = await startComponent(config, { log, metricsUrl: telemetry.metricsUrl, onFatal }).catch(onFatal);
  running.component = component;
  log.info({ url: component.url, metricsUrl: telemetry.metricsUrl }, 'ready');
}

void main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
