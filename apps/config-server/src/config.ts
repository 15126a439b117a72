// SPDX-License-Identifier: Apache-2.0
import {
  type Address, addressSchema, type Environment, listSchema, nameSchema, observabilityVariables, parseEnvironment, switchSchema,
} from '@secondsite/component';
import { GIB } from '@secondsite/units';
import { z } from 'zod';

const schema = z.object({
  SECONDSITE_DATA_DIR: z.string().min(1),
  DATABASE_URL: z.string().min(1).optional(),
  NATS_URL: listSchema.optional(),
  /** What components are told to connect to, when it differs from what this server uses. */
  SECONDSITE_COMPONENT_NATS_URL: listSchema.optional(),
  /** Where a nats-server on this machine writes its number; it is told when its files have changed. */
  SECONDSITE_NATS_PID_FILE: z.string().min(1).optional(),
  SECONDSITE_LISTEN: addressSchema.prefault('127.0.0.1:0'),
  SECONDSITE_METRICS_LISTEN: addressSchema.prefault('127.0.0.1:0'),
  SECONDSITE_ADVERTISE_HOST: z.string().min(1).default('127.0.0.1'),
  /** Further names and addresses in the certificates of this server and of NATS. */
  SECONDSITE_CERTIFICATE_NAMES: listSchema.prefault(''),
  SECONDSITE_TENANT: nameSchema.default('default'),
  SECONDSITE_INSECURE: switchSchema.default('0'),
  SECONDSITE_CERTIFICATE_SECONDS: z.coerce.number().int().min(5).default(30 * 86_400),
  SECONDSITE_STALL_SECONDS: z.coerce.number().positive().default(30),
  /** So many pairs at once may read their whole volume. */
  SECONDSITE_RESYNCS_AT_ONCE: z.coerce.number().int().min(1).default(3),
  /** A process server that a pair leaves is not waited for any more when it was not heard for so long. */
  SECONDSITE_MOVE_GIVE_UP_SECONDS: z.coerce.number().min(6).default(600),
  /** A master target takes no more pairs than this; each has a thread and memory of its own there. */
  SECONDSITE_PAIRS_PER_TARGET: z.coerce.number().int().min(1).default(256),
  /** A component that was not heard for so long raises an alert. */
  SECONDSITE_SILENT_SECONDS: z.coerce.number().min(6).default(30),
  /** Less free space than this where a component keeps its data raises an alert. */
  SECONDSITE_ALERT_FREE_BYTES: z.coerce.number().int().min(0).default(2 * GIB),
  ...observabilityVariables,
});

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
  readonly resyncsAtOnce: number;
  readonly moveGiveUpSeconds: number;
  readonly pairsPerTarget: number;
  readonly silentSeconds: number;
  readonly freeBytesMin: number;
  readonly otlpEndpoint: string | undefined;
  readonly logLevel: z.output<typeof schema>['LOG_LEVEL'];
  readonly traceRatio: number | undefined;
}

/** What `init` needs: no database and no bus yet. */
export type InitConfig = Pick<ConfigServerConfig, 'dataDir' | 'advertiseHost' | 'certificateNames' | 'tenantId' | 'certificateSeconds'>;

/** Throws OperationError `config/invalid` that names every fault. */
export function readConfig(environment: Environment): ConfigServerConfig {
  const required = schema.required({ DATABASE_URL: true, NATS_URL: true });
  const values = parseEnvironment(required, environment);
  return Object.freeze({
    ...initPart(values), databaseUrl: values.DATABASE_URL, natsUrls: values.NATS_URL,
    componentNatsUrls: values.SECONDSITE_COMPONENT_NATS_URL ?? values.NATS_URL, natsPidFile: values.SECONDSITE_NATS_PID_FILE, listen: values.SECONDSITE_LISTEN,
    metricsListen: values.SECONDSITE_METRICS_LISTEN, insecure: values.SECONDSITE_INSECURE === '1', stallSeconds: values.SECONDSITE_STALL_SECONDS,
    resyncsAtOnce: values.SECONDSITE_RESYNCS_AT_ONCE, moveGiveUpSeconds: values.SECONDSITE_MOVE_GIVE_UP_SECONDS, pairsPerTarget: values.SECONDSITE_PAIRS_PER_TARGET,
    silentSeconds: values.SECONDSITE_SILENT_SECONDS, freeBytesMin: values.SECONDSITE_ALERT_FREE_BYTES,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT, logLevel: values.LOG_LEVEL, traceRatio: values.SECONDSITE_TRACE_RATIO,
  });
}

export function readInitConfig(environment: Environment): InitConfig {
  return Object.freeze(initPart(parseEnvironment(schema, environment)));
}

function initPart(values: z.output<typeof schema>): InitConfig {
  return {
    dataDir: values.SECONDSITE_DATA_DIR, advertiseHost: values.SECONDSITE_ADVERTISE_HOST, certificateNames: values.SECONDSITE_CERTIFICATE_NAMES,
    tenantId: values.SECONDSITE_TENANT, certificateSeconds: values.SECONDSITE_CERTIFICATE_SECONDS,
  };
}
