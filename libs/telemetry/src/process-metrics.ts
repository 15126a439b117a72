// SPDX-License-Identifier: Apache-2.0
// Importing this file installs the process's meter provider, once: OpenTelemetry gives instruments made before that no way to report. So apps
// import `@secondsite/telemetry` first; every instrument of a module loaded later, also of one made at load time, is then served.
import { metrics, type ObservableResult } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Collects when somebody asks; serves the Prometheus text format. */
export const prometheusReader = new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true });

export const meterProvider = new MeterProvider({ readers: [prometheusReader] });

metrics.setGlobalMeterProvider(meterProvider);

/** What every process shows about itself. */
export function observeProcess(): void {
  const meter = metrics.getMeter('@secondsite/telemetry');
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const gauge = (name: string, description: string, read: () => number) =>
    meter.createObservableGauge(name, { description }).addCallback((result: ObservableResult) => result.observe(read()));
  gauge('process_resident_memory_bytes', 'Resident memory of the process', () => process.memoryUsage.rss());
  gauge('process_uptime_seconds', 'Seconds since the process started', () => process.uptime());
  gauge('nodejs_eventloop_delay_p99_seconds', 'How late timers of the main thread fire', () => {
    const seconds = delay.percentile(99) / 1e9;
    delay.reset();
    return Number.isFinite(seconds) ? seconds : 0;
  });
  meter
    .createObservableCounter('process_cpu_seconds', { description: 'Processor time used, user and system' })
    .addCallback((result) => result.observe((process.cpuUsage().user + process.cpuUsage().system) / 1e6));
}
