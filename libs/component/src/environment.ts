// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const addressSchema = z
  .string()
  .regex(/^.+:\d{1,5}$/, 'must be host:port')
  .transform((text): Address => ({ host: text.slice(0, text.lastIndexOf(':')), port: Number(text.slice(text.lastIndexOf(':') + 1)) }));

/** Texts with commas between them. */
export const listSchema = z.string().transform((text) => text.split(',').map((part) => part.trim()).filter((part) => part !== ''));

export const nameSchema = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, dashes, underscores');

/** `0` or `1`. */
export const switchSchema = z.enum(['0', '1'], 'must be 0 or 1');

/** What every process can be told about its logs and traces. */
export const observabilityVariables = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url().optional(),
  SECONDSITE_TRACE_RATIO: z.coerce.number().min(0).max(1).optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
} as const;

/**
 * Parses the environment before anything starts; an empty variable counts as missing. Throws OperationError `config/invalid` that names every
 * variable at fault and why, never its value. The result is frozen.
 */
export function parseEnvironment<Schema extends z.ZodObject>(schema: Schema, environment: Environment): Readonly<z.output<Schema>> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]));
  const result = schema.safeParse(given, { reportInput: false });
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${given[String(path[0])] === undefined ? 'is missing' : message}`);
  throw new OperationError({
    code: 'config/invalid', operation: 'read configuration', context: { faults: faults.join('; ') }, retryable: false,
    hint: `Correct these variables: ${faults.join('; ')}`,
  });
}
