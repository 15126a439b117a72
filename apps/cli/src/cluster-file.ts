// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '@secondsite/embedded-services';
import { OperationError } from '@secondsite/units';
import { z } from 'zod';
import type { ApiEndpoint } from './api-client';
import type { CliConfig } from './config';

/** `<home>/cluster.json`: what the local cluster's supervisor writes and every other command reads. */
export const clusterFileSchema = z.object({
  version: z.literal(1),
  url: z.string(),
  caFile: z.string(),
  adminTokenFile: z.string(),
  natsUrl: z.string(),
  processes: z.array(z.object({ name: z.string(), pid: z.number().int(), url: z.string().optional(), metricsUrl: z.string().optional(), logFile: z.string() })),
});
export type ClusterFile = z.infer<typeof clusterFileSchema>;

function clusterFilePath(home: string): string {
  return join(home, 'cluster.json');
}

/** Readers see the old or the new file, never a part. */
export function writeClusterFile(home: string, cluster: ClusterFile): void {
  writeWhole(clusterFilePath(home), `${JSON.stringify(cluster, undefined, 2)}\n`);
}

/** The local cluster's file, or undefined when none was ever started in this home. */
export async function readClusterFile(home: string): Promise<ClusterFile | undefined> {
  try {
    return clusterFileSchema.parse(JSON.parse(await readFile(clusterFilePath(home), 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new OperationError({
      code: 'cli/bad-cluster-file', operation: 'read cluster.json', context: { home }, retryable: false, cause: error,
      hint: 'The file is damaged; "secondsite up" writes it anew.',
    });
  }
}

/** Where commands send their requests: the environment wins over the local cluster. */
export async function findEndpoint(config: CliConfig): Promise<ApiEndpoint> {
  const cluster = await readClusterFile(config.home);
  const url = config.url ?? cluster?.url;
  const caFile = config.caFile ?? cluster?.caFile;
  const adminTokenFile = config.adminTokenFile ?? cluster?.adminTokenFile;
  if (url === undefined || caFile === undefined || adminTokenFile === undefined) {
    throw new OperationError({
      code: 'cli/no-cluster', operation: 'find the configuration server', context: { home: config.home }, retryable: false,
      hint: 'Start a local cluster with "secondsite up", or set SECONDSITE_URL, SECONDSITE_CA_FILE and SECONDSITE_ADMIN_TOKEN_FILE.',
    });
  }
  return { url, ca: await readFile(caFile, 'utf8'), adminToken: (await readFile(adminTokenFile, 'utf8')).trim() };
}
