// SPDX-License-Identifier: Apache-2.0
import { HealthServer } from './health-server';
import { observeProcess, prometheusReader } from './process-metrics';
import { Readiness } from './readiness';
import { startTracing, type TracingOptions } from './start-tracing';

export interface TelemetryOptions extends TracingOptions {
  /** `host:port` for `/healthz`, `/readyz` and `/metrics`; plain HTTP, so a loopback or otherwise protected address. */
  readonly metricsListen: string;
}

export interface Telemetry {
  /** E.g. `http://127.0.0.1:40123`. */
  readonly metricsUrl: string;
  /** Add what this process needs to do its work. */
  readonly readiness: Readiness;
  /** Sends spans that are waiting. */
  flush(): Promise<void>;
  /** Stops serving and sends what is waiting; the last step of a shutdown. */
  shutdown(): Promise<void>;
}

/** Starts tracing, metrics and health of a process. Call it first; libraries to be instrumented must be loaded afterwards. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const readiness = new Readiness();
  const tracing = await startTracing(options);
  const server = new HealthServer(readiness, prometheusReader);
  const metricsUrl = await server.listen(options.metricsListen);
  observeProcess();
  return {
    metricsUrl,
    readiness,
    flush: () => tracing.flush(),
    shutdown: async () => {
      await server.close();
      await tracing.shutdown();
    },
  };
}
