// SPDX-License-Identifier: Apache-2.0
import { isSpanContextValid, trace } from '@opentelemetry/api';
import { type DestinationStream, type Level, type Logger, pino, stdSerializers } from 'pino';

export interface LoggerOptions {
  readonly serviceName: string;
  /** Default `info`. */
  readonly level?: Level | 'silent' | undefined;
  /** Default: standard output, written at once. */
  readonly destination?: DestinationStream;
}

const secretFields = ['token', 'key', 'keyPem', 'password', 'secret', 'authorization', 'cookie', 'adminToken', 'enrolToken'];
const placeholder = '[redacted]';
const secretTexts = /ss1\.[A-Za-z0-9_-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----|Bearer [A-Za-z0-9._~+/-]{8,}=*/g;

/**
 * A JSON logger: one object a line, ISO time, level as a word, `trace_id` and `span_id` of the active span. Secrets are removed by field
 * name (three levels deep), and enrolment tokens, private keys and bearer tokens wherever they stand in a line.
 */
export function createLogger({ serviceName, level = 'info', destination = pino.destination({ dest: 1, sync: true }) }: LoggerOptions): Logger {
  const paths = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);
  return pino(
    {
      level,
      base: { service: serviceName, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause },
      mixin: traceFields,
      redact: { paths, censor: placeholder },
      hooks: { streamWrite: (line) => line.replace(secretTexts, placeholder) },
    },
    destination,
  );
}

function traceFields(): object {
  const spanContext = trace.getActiveSpan()?.spanContext();
  return spanContext !== undefined && isSpanContextValid(spanContext) ? { trace_id: spanContext.traceId, span_id: spanContext.spanId } : {};
}
