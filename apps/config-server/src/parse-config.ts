// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import type { z } from 'zod';

/**
 * Parses the environment before anything starts. Throws OperationError `config/invalid` that names every variable at fault and why, never
 * its value. The result is frozen.
 */
export function parseConfig<Schema extends z.ZodObject>(schema: Schema, environment: Readonly<Record<string, string | undefined>>): Readonly<z.output<Schema>> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]));
  const result = schema.safeParse(given, { reportInput: false });
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${given[String(issue.path[0])] === undefined ? 'is missing' : issue.message}`);
  throw new OperationError({
    code: 'config/invalid', operation: 'read configuration', context: { faults: faults.join('; ') }, retryable: false,
    hint: `Correct these variables: ${faults.join('; ')}`,
  });
}
