// SPDX-License-Identifier: Apache-2.0
export { createLogger, type LoggerOptions } from './create-logger';
export { endProcessGracefully, type ProcessEndOptions } from './end-process-gracefully';
export { type LatestGauge, LatestGauges, type LatestGaugesOptions, spaceGauge } from './latest-gauges';
export { Readiness, type ReadinessCheck, type ReadinessReport } from './readiness';
export { startRootSpan } from './root-span';
export { startTelemetry, type Telemetry, type TelemetryOptions } from './start-telemetry';
export { type InstrumentationName, startTracing, type Tracing, type TracingOptions } from './start-tracing';
export { activeTraceparent, inSpan, type SpanStart, startSpan, traceparentOf } from './trace-context';
