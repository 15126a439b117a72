// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { parseConfig } from './parse-config';

const listenSchema = z
  .string()
  .regex(/^.+:\d{1,5}$/, 'must be host:port')
  .transform((text) => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) }));

const listSchema = z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''));

const schema = z.object({
  SECONDSITE_DATA_DIR: z.string().min(1),
  DATABASE_URL: z.string().min(1).optional(),
  NATS_URL: listSchema.optional(),
  /** What components are told to connect to, when it differs from what this server uses. */
  SECONDSITE_COMPONENT_NATS_URL: listSchema.optional(),
  /** Where a nats-server on this machine writes its number; it is told when its files have changed. */
  SECONDSITE_NATS_PID_FILE: z.string().min(1).optional(),
  SECONDSITE_LISTEN: listenSchema.prefault('127.0.0.1:0'),
  SECONDSITE_METRICS_LISTEN: listenSchema.prefault('127.0.0.1:0'),
  SECONDSITE_ADVERTISE_HOST: z.string().min(1).default('127.0.0.1'),
  /** Further names and addresses in the certificates of this server and of NATS. */
  SECONDSITE_CERTIFICATE_NAMES: listSchema.prefault(''),
  SECONDSITE_TENANT: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, dashes, underscores').default('default'),
  SECONDSITE_INSECURE: z.enum(['0', '1']).default('0'),
  SECONDSITE_CERTIFICATE_SECONDS: z.coerce.number().int().min(5).default(30 * 86_400),
  SECONDSITE_STALL_SECONDS: z.coerce.number().positive().default(30),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  SECONDSITE_TRACE_RATIO: z.coerce.number().min(0).max(1).optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface ConfigServerConfig {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly natsUrls: readonly string[];
  readonly componentNatsUrls: readonly string[];
  readonly natsPidFile: string | undefined;
  readonly listen: Address;
  readonly metricsListen: Address;
  readonly advertiseHost: string;
  readonly certificateNames: readonly string[];
  readonly tenantId: string;
  readonly insecure: boolean;
  readonly certificateSeconds: number;
  readonly stallSeconds: number;
  readonly otlpEndpoint: string | undefined;
  readonly logLevel: z.output<typeof schema>['LOG_LEVEL'];
  readonly traceRatio: number | undefined;
}

/** What `init` needs: no database and no bus yet. */
export type InitConfig = Pick<ConfigServerConfig, 'dataDir' | 'advertiseHost' | 'certificateNames' | 'tenantId' | 'certificateSeconds'>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws OperationError `config/invalid` that names every fault. */
export function readConfig(environment: Environment): ConfigServerConfig {
  const required = schema.required({ DATABASE_URL: true, NATS_URL: true });
  const values = parseConfig(required, environment);
  return Object.freeze({
    ...initPart(values), databaseUrl: values.DATABASE_URL, natsUrls: values.NATS_URL,
    componentNatsUrls: values.SECONDSITE_COMPONENT_NATS_URL ?? values.NATS_URL, natsPidFile: values.SECONDSITE_NATS_PID_FILE, listen: values.SECONDSITE_LISTEN,
    metricsListen: values.SECONDSITE_METRICS_LISTEN, insecure: values.SECONDSITE_INSECURE === '1', stallSeconds: values.SECONDSITE_STALL_SECONDS,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT, logLevel: values.LOG_LEVEL, traceRatio: values.SECONDSITE_TRACE_RATIO,
  });
}

export function readInitConfig(environment: Environment): InitConfig {
  return Object.freeze(initPart(parseConfig(schema, environment)));
}

function initPart(values: z.output<typeof schema>): InitConfig {
  return {
    dataDir: values.SECONDSITE_DATA_DIR, advertiseHost: values.SECONDSITE_ADVERTISE_HOST, certificateNames: values.SECONDSITE_CERTIFICATE_NAMES,
    tenantId: values.SECONDSITE_TENANT, certificateSeconds: values.SECONDSITE_CERTIFICATE_SECONDS,
  };
}
