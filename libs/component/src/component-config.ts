// SPDX-License-Identifier: Apache-2.0
import type { DataPlaneRole } from '@secondsite/contracts';
import { z } from 'zod';
import { type Address, addressSchema, listSchema, nameSchema, observabilityVariables, switchSchema } from './environment';

/** What every component of the data plane is told. */
export interface ComponentConfig {
  readonly dataDir: string;
  /** Needed at the first start only. */
  readonly enrolment: { readonly token: string; readonly configServerUrl: string } | undefined;
  readonly componentName: string;
  readonly advertiseHost: string;
  readonly metricsListen: Address;
  readonly insecure: { readonly tenantId: string; readonly natsUrls: readonly string[] } | undefined;
  readonly otlpEndpoint: string | undefined;
  readonly traceRatio: number | undefined;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
}

/** What those are told that change sets are sent to. */
export interface ReceiverConfig {
  readonly listen: Address;
  readonly dataTls: boolean;
}

export const receiverVariables = {
  SECONDSITE_LISTEN: addressSchema.prefault('127.0.0.1:0'),
  /** 0: change sets arrive unencrypted and from anybody, where the network itself is private and encrypted. The rest stays mutual TLS. */
  SECONDSITE_DATA_TLS: switchSchema.default('1'),
} as const;

const identityVariables = (role: DataPlaneRole) => ({
  SECONDSITE_DATA_DIR: z.string().min(1),
  SECONDSITE_ENROLL_TOKEN: z.string().min(1).optional(),
  SECONDSITE_CONFIG_SERVER_URL: z.url().optional(),
  SECONDSITE_ADVERTISE_HOST: z.string().min(1).default('127.0.0.1'),
  SECONDSITE_METRICS_LISTEN: addressSchema.prefault('127.0.0.1:0'),
  SECONDSITE_INSECURE: switchSchema.default('0'),
  /** The name it asks for when it enrols, and has with SECONDSITE_INSECURE=1. */
  SECONDSITE_COMPONENT_ID: nameSchema.default(role),
  /** This and NATS_URL: only with SECONDSITE_INSECURE=1; else the identity says it. */
  SECONDSITE_TENANT: nameSchema.default('default'),
  NATS_URL: listSchema.prefault('nats://127.0.0.1:4222'),
});

/** The environment of a component of this role: what all have, and its own variables. */
export function componentSchema<Own extends z.ZodRawShape>(role: DataPlaneRole, own: Own) {
  return z.object({ ...identityVariables(role), ...own, ...observabilityVariables });
}

type ComponentVariables = z.output<z.ZodObject<ReturnType<typeof identityVariables> & typeof observabilityVariables>>;

export function componentConfig(values: ComponentVariables): ComponentConfig {
  const { SECONDSITE_ENROLL_TOKEN: token, SECONDSITE_CONFIG_SERVER_URL: configServerUrl } = values;
  return {
    dataDir: values.SECONDSITE_DATA_DIR,
    enrolment: token !== undefined && configServerUrl !== undefined ? { token, configServerUrl } : undefined,
    componentName: values.SECONDSITE_COMPONENT_ID,
    advertiseHost: values.SECONDSITE_ADVERTISE_HOST,
    metricsListen: values.SECONDSITE_METRICS_LISTEN,
    insecure: values.SECONDSITE_INSECURE === '1' ? { tenantId: values.SECONDSITE_TENANT, natsUrls: values.NATS_URL } : undefined,
    otlpEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    traceRatio: values.SECONDSITE_TRACE_RATIO,
    logLevel: values.LOG_LEVEL,
  };
}

export function receiverConfig(values: z.output<z.ZodObject<typeof receiverVariables>>): ReceiverConfig {
  return { listen: values.SECONDSITE_LISTEN, dataTls: values.SECONDSITE_DATA_TLS === '1' };
}
