// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { appMain, serviceFolder } from './cluster-layout';

export interface AuthorityFiles {
  readonly caFile: string;
  /** What a NATS server of this cluster presents, issued anew before it ends; it must ask clients for certificates of the same authority. */
  readonly natsCertificateFile: string;
  /** The same file. */
  readonly natsKeyFile: string;
  /** Who may do what on the bus; it must be included in `authorization { }`, and read again whenever it changes. */
  readonly natsUsersFile: string;
}

const run = promisify(execFile);

export function authorityFiles(home: string): AuthorityFiles {
  const folder = serviceFolder(home, 'config-server');
  const natsCertificateFile = join(folder, 'nats', 'server.pem');
  return { caFile: join(folder, 'ca', 'ca.pem'), natsCertificateFile, natsKeyFile: natsCertificateFile, natsUsersFile: join(folder, 'nats', 'users.conf') };
}

/** Makes the certificate authority of a cluster and what NATS needs before it can start. Idempotent. */
export async function prepareAuthority(home: string): Promise<AuthorityFiles> {
  const dataDir = serviceFolder(home, 'config-server');
  mkdirSync(dataDir, { recursive: true });
  await run(process.execPath, [appMain('config-server'), 'init'], { env: { ...process.env, SECONDSITE_DATA_DIR: dataDir } });
  return authorityFiles(home);
}
