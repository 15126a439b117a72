// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { appMain, serviceFolder } from './cluster-layout';

export interface AuthorityFiles {
  readonly caFile: string;
  /** What a NATS server of this cluster presents; it must ask clients for certificates of the same authority. */
  readonly natsCertificateFile: string;
  readonly natsKeyFile: string;
}

const run = promisify(execFile);

export function authorityFiles(home: string): AuthorityFiles {
  const folder = serviceFolder(home, 'config-server');
  return { caFile: join(folder, 'ca', 'ca.pem'), natsCertificateFile: join(folder, 'nats', 'cert.pem'), natsKeyFile: join(folder, 'nats', 'key.pem') };
}

/** Makes the certificate authority of a cluster and the certificates that NATS needs before it can start. Idempotent. */
export async function prepareAuthority(home: string): Promise<AuthorityFiles> {
  const dataDir = serviceFolder(home, 'config-server');
  mkdirSync(dataDir, { recursive: true });
  await run(process.execPath, [appMain('config-server'), 'init'], { env: { ...process.env, SECONDSITE_DATA_DIR: dataDir } });
  return authorityFiles(home);
}
