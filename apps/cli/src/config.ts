// SPDX-License-Identifier: Apache-2.0
import { homedir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '@secondsite/units';
import { z } from 'zod';

const environmentSchema = z.object({
  SECONDSITE_HOME: z.string().min(1).default(join(homedir(), '.secondsite')),
  SECONDSITE_URL: z.url().optional(),
  SECONDSITE_CA_FILE: z.string().optional(),
  SECONDSITE_ADMIN_TOKEN_FILE: z.string().optional(),
  SECONDSITE_NATS_URL: z.string().optional(),
  SECONDSITE_DATABASE_URL: z.string().optional(),
});

export interface CliConfig {
  /** Folder of the local cluster. */
  readonly home: string;
  /** Address, CA and token of another configuration server than the local cluster's. */
  readonly url: string | undefined;
  readonly caFile: string | undefined;
  readonly adminTokenFile: string | undefined;
  /** Existing services that `up` uses instead of starting its own. */
  readonly natsUrl: string | undefined;
  readonly databaseUrl: string | undefined;
}

/** Reads the environment once; names every variable that is wrong, never its value. */
export function readConfig(environment: NodeJS.ProcessEnv): CliConfig {
  const parsed = environmentSchema.safeParse(environment);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
    throw new OperationError({ code: 'cli/bad-configuration', operation: 'read configuration', retryable: false, hint: problems });
  }
  const { data } = parsed;
  return Object.freeze({
    home: data.SECONDSITE_HOME,
    url: data.SECONDSITE_URL,
    caFile: data.SECONDSITE_CA_FILE,
    adminTokenFile: data.SECONDSITE_ADMIN_TOKEN_FILE,
    natsUrl: data.SECONDSITE_NATS_URL,
    databaseUrl: data.SECONDSITE_DATABASE_URL,
  });
}

/** Where guests made from Debian packages and the accelerator probe's answer are kept between runs. */
export function guestCacheFolder(): string {
  return join(__dirname, '..', '..', '..', '.cache');
}
