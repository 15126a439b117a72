// SPDX-License-Identifier: Apache-2.0
import { MIB, OperationError } from '@secondsite/units';
import { z } from 'zod';

const listenSchema = z
  .string()
  .regex(/^.+:\d{1,5}$/, 'must be host:port')
  .transform((text) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) }));

const listSchema = z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''));
const nameSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, dashes, underscores');
const levelSchema = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'must be a level of pino');

const schema = z.object({
  SECONDSITE_DATA_DIR: z.string({ error: 'is required' }).min(1, 'is required'),
  SECONDSITE_ENROLL_TOKEN: z.string().min(1).optional(),
  SECONDSITE_CONFIG_SERVER_URL: z.url('must be a URL').optional(),
  SECONDSITE_ADVERTISE_HOST: z.string().min(1).default('127.0.0.1'),
  SECONDSITE_METRICS_LISTEN: listenSchema.prefault('127.0.0.1:0'),
  SECONDSITE_INSECURE: z.enum(['0', '1'], 'must be 0 or 1').default('0'),
  /** The name it asks for when it enrols, and has with SECONDSITE_INSECURE=1. */
  SECONDSITE_COMPONENT_ID: nameSchema.default('agent'),
  /** This and NATS_URL: only with SECONDSITE_INSECURE=1; else the identity says it. */
  SECONDSITE_TENANT: nameSchema.default('default'),
  NATS_URL: listSchema.prefault('nats://127.0.0.1:4222'),
  /** Host on which the disks are also exported by TCP (with TLS, unless insecure), each on a port of its own. Absent: unix sockets only. */
  SECONDSITE_NBD_HOST: z.string().min(1).optional(),
  /** Memory for captured writes of all volumes of the host. */
  SECONDSITE_BUFFER_BYTES_MAX: z.coerce.number('must be a number of bytes').int().min(32 * MIB, 'must be at least 32 MiB').max(1024 * 1024 * MIB).default(250 * MIB),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url('must be a URL').optional(),
  SECONDSITE_TRACE_RATIO: z.coerce.number('must be a number').min(0).max(1).default(0.01),
  LOG_LEVEL: levelSchema.default('info'),
});

export interface AgentConfig {
  readonly dataDir: string;
  /** Needed at the first start only. */
  readonly enrolment: { readonly token: string; readonly configServerUrl: string } | undefined;
  readonly componentName: string;
  readonly advertiseHost: string;
  readonly metricsListen: { readonly host: string; readonly port: number };
  readonly insecure: { readonly tenantId: string; readonly natsUrls: readonly string[] } | undefined;
  readonly nbdHost: string | undefined;
  readonly bufferBytesMax: number;
  readonly otlpEndpoint: string | undefined;
  readonly traceRatio: number;
  readonly logLevel: z.infer<typeof levelSchema>;
}

/** Throws OperationError `config/invalid` that names every fault at once, never a value. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): AgentConfig {
  const parsed = schema.safeParse(environment);
  if (!parsed.success) throw invalid(parsed.error);
  const values = parsed.data;
  const { SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl } = values;
  return Object.freeze({
    dataDir: values.SECONDSITE_DATA_DIR,
    enrolment: token !== undefined && configServerUrl !== undefined ? { token, configServerUrl } : undefined,
    componentName: values.SECONDSITE_COMPONENT_ID,
    advertiseHost: values.SECONDSITE_ADVERTISE_HOST,
    metricsListen: values.SECONDSITE_METRICS_LISTEN,
    insecure: values.SECONDSITE_INSECURE === '1' ? { tenantId: values.SECONDSITE_TENANT, natsUrls: values.NATS_URL } : undefined,
    nbdHost: values.SECONDSITE_NBD_HOST,
    bufferBytesMax: values.SECONDSITE_BUFFER_BYTES_MAX,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    traceRatio: values.SECONDSITE_TRACE_RATIO,
    logLevel: values.LOG_LEVEL,
  });
}

function invalid(error: z.ZodError): OperationError {
  const faults = error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ');
  return new OperationError({
    code: 'config/invalid', operation: 'read configuration', context: { faults }, retryable: false, hint: `Correct these environment variables: ${faults}.`,
  });
}
