// SPDX-License-Identifier: Apache-2.0
/**
 * What nats-server reads, in `<dataDir>/nats`: `ca.pem`, `server.pem` (its certificate and key in one file, so that there is never half of it)
 * and `users.conf` (who may do what). Each is replaced whole.
 */
import { type CertificateAuthority, createKeyAndRequest, renewalDueMillis } from '@secondsite/certificates';
import { natsUsersText } from '@secondsite/embedded-services';
import { busUser } from '@secondsite/messaging';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InitConfig } from '../config';
import { certificateNames, ownComponentId, writeWhole } from '../security/prepare-authority';

export interface NatsFiles {
  readonly caFile: string;
  readonly certFile: string;
  /** The same file as `certFile`. */
  readonly keyFile: string;
  readonly usersFile: string;
}

/** A component that has enrolled. */
export interface BusMember {
  readonly role: 'agent' | 'process-server' | 'master-target';
  readonly componentId: string;
}

export function natsFiles(dataDir: string): NatsFiles {
  const folder = join(dataDir, 'nats');
  const certFile = join(folder, 'server.pem');
  return { caFile: join(folder, 'ca.pem'), certFile, keyFile: certFile, usersFile: join(folder, 'users.conf') };
}

/** `init`: everything that nats-server needs to start. The list of users stays when there is one; else only this server is in it. */
export async function prepareNats(config: InitConfig, authority: CertificateAuthority): Promise<NatsFiles> {
  const files = await issueNatsCertificate(config, authority);
  if ((await readIfThere(files.usersFile)) === '') await writeUsers(config, []);
  return files;
}

/**
 * Issues nats-server's certificate with the ordinary lifetime, in the role that may do nothing: clients of NATS ask for its names only, and where
 * NATS belongs to somebody else, its key must not open anything of ours.
 */
export async function issueNatsCertificate(config: InitConfig, authority: CertificateAuthority): Promise<NatsFiles> {
  const files = natsFiles(config.dataDir);
  const { keyPem, csrPem } = await createKeyAndRequest('nats-server');
  const identity = { tenantId: config.tenantId, role: 'operator', componentId: 'nats-server' } as const;
  const { certificatePem } = await authority.issue({ csrPem, identity, dnsNames: certificateNames(config) });
  await mkdir(join(files.caFile, '..'), { recursive: true, mode: 0o700 });
  await writeWhole({ file: files.caFile, text: authority.certificatePem });
  await writeWhole({ file: files.certFile, text: `${keyPem.trimEnd()}\n${certificatePem}` });
  return files;
}

/** When nats-server's certificate is to be issued anew, in milliseconds since 1970; 0 when there is none that can be used. */
export async function natsCertificateDue(dataDir: string): Promise<number> {
  const pem = await readIfThere(natsFiles(dataDir).certFile);
  try {
    return new X509Certificate(pem).checkPrivateKey(createPrivateKey(pem)) ? renewalDueMillis(pem) : 0;
  } catch {
    return 0;
  }
}

/** Writes who may do what when it differs from what is there: this server everything, each member what its role needs. */
export async function writeUsers({ dataDir, tenantId }: Pick<InitConfig, 'dataDir' | 'tenantId'>, members: readonly BusMember[]): Promise<void> {
  const { usersFile } = natsFiles(dataDir);
  const own = { role: 'config-server', componentId: ownComponentId } as const;
  const text = natsUsersText([own, ...members].map(({ role, componentId }) => busUser({ tenantId, role, componentId })));
  if ((await readIfThere(usersFile)) !== text) await writeWhole({ file: usersFile, text });
}

/** Names everything that nats-server reads as it is now; another text after any change. */
export async function natsFilesState(dataDir: string): Promise<string> {
  const { certFile, usersFile } = natsFiles(dataDir);
  return `${await readIfThere(certFile)}\n${await readIfThere(usersFile)}`;
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
