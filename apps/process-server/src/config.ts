// SPDX-License-Identifier: Apache-2.0
import { MIB, OperationError } from '@secondsite/units';
import { z } from 'zod';

const listenSchema = z
  .string()
  .regex(/^.+:\d{1,5}$/, 'must be host:port')
  .transform((text) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) }));

const listSchema = z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''));

const schema = z.object({
  SECONDSITE_DATA_DIR: z.string().min(1),
  SECONDSITE_ENROLL_TOKEN: z.string().min(1).optional(),
  SECONDSITE_CONFIG_SERVER_URL: z.url().optional(),
  SECONDSITE_LISTEN: listenSchema.prefault('127.0.0.1:0'),
  SECONDSITE_ADVERTISE_HOST: z.string().min(1).default('127.0.0.1'),
  SECONDSITE_METRICS_LISTEN: listenSchema.prefault('127.0.0.1:0'),
  SECONDSITE_INSECURE: z.enum(['0', '1']).default('0'),
  /** 0: change sets arrive unencrypted and from anybody, where the network itself is private and encrypted. The rest stays mutual TLS. */
  SECONDSITE_DATA_TLS: z.enum(['0', '1']).default('1'),
  /** The name it asks for when it enrols, and has with SECONDSITE_INSECURE=1. */
  SECONDSITE_COMPONENT_ID: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, dashes, underscores').default('process-server'),
  /** This and NATS_URL: only with SECONDSITE_INSECURE=1; else the identity says it. */
  SECONDSITE_TENANT: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, dashes, underscores').default('default'),
  NATS_URL: listSchema.prefault('nats://127.0.0.1:4222'),
  /** Fewer free bytes than this where the data are: nothing more is accepted. */
  SECONDSITE_FREE_BYTES_MIN: z.coerce.number().int().min(0).default(512 * MIB),
  /** Change sets kept in memory until they are forwarded, and again as much for those read back from disk. */
  SECONDSITE_MEMORY_BYTES_MAX: z.coerce.number().int().min(8 * MIB).default(24 * MIB),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  SECONDSITE_TRACE_RATIO: z.coerce.number().min(0).max(1).optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ProcessServerConfig {
  readonly dataDir: string;
  /** Needed at the first start only. */
  readonly enrolment: { readonly token: string; readonly configServerUrl: string } | undefined;
  readonly componentName: string;
  readonly listen: Address;
  readonly advertiseHost: string;
  readonly metricsListen: Address;
  readonly dataTls: boolean;
  readonly insecure: { readonly tenantId: string; readonly natsUrls: readonly string[] } | undefined;
  readonly freeBytesMin: number;
  readonly memoryBytesMax: number;
  readonly otlpEndpoint: string | undefined;
  readonly traceRatio: number | undefined;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
}

/** Throws OperationError `config/invalid` that names every fault at once. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): ProcessServerConfig {
  const values = parse(environment);
  const { SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl } = values;
  return Object.freeze({
    dataDir: values.SECONDSITE_DATA_DIR,
    enrolment: token !== undefined && configServerUrl !== undefined ? { token, configServerUrl } : undefined,
    componentName: values.SECONDSITE_COMPONENT_ID,
    listen: values.SECONDSITE_LISTEN,
    advertiseHost: values.SECONDSITE_ADVERTISE_HOST,
    metricsListen: values.SECONDSITE_METRICS_LISTEN,
    dataTls: values.SECONDSITE_DATA_TLS === '1',
    insecure:
      values.SECONDSITE_INSECURE === '1'
        ? { tenantId: values.SECONDSITE_TENANT, natsUrls: values.NATS_URL }
        : undefined,
    freeBytesMin: values.SECONDSITE_FREE_BYTES_MIN,
    memoryBytesMax: values.SECONDSITE_MEMORY_BYTES_MAX,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    traceRatio: values.SECONDSITE_TRACE_RATIO,
    logLevel: values.LOG_LEVEL,
  });
}

function parse(environment: Readonly<Record<string, string | undefined>>): z.output<typeof schema> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${given[String(path[0])] === undefined ? 'is missing' : message}`);
  const hint = `Correct these variables: ${faults.join('; ')}`;
  throw new OperationError({ code: 'config/invalid', operation: 'read configuration', retryable: false, hint });
}
