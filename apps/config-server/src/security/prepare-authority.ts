// SPDX-License-Identifier: Apache-2.0
/**
 * Makes what must exist before anything is served. Idempotent: what is there stays, except that certificates are issued anew. Data folder:
 * `authority/` (the authority's key), `ca/ca.pem` (its certificate, for everyone), `identity/` (this server), `admin-token` (0600).
 */
import { CertificateAuthority, type ComponentIdentity, createKeyAndRequest, writeIdentity } from '@secondsite/certificates';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { InitConfig } from '../config';

export const ownComponentId = 'config-server';

export interface PreparedAuthority {
  readonly authority: CertificateAuthority;
  readonly identity: ComponentIdentity;
  readonly adminToken: string;
}

export function openAuthority(config: Pick<InitConfig, 'dataDir' | 'certificateSeconds'>): Promise<CertificateAuthority> {
  return CertificateAuthority.openFolder(join(config.dataDir, 'authority'), { lifetimeSeconds: config.certificateSeconds });
}

/** Authority and admin token, made when they are missing, and an own identity, issued anew: names may have changed, or it was away for long. */
export async function prepareAuthority(config: InitConfig): Promise<PreparedAuthority> {
  const authority = await openAuthority(config);
  await mkdir(join(config.dataDir, 'ca'), { recursive: true });
  await writeWhole({ file: join(config.dataDir, 'ca', 'ca.pem'), text: authority.certificatePem });
  const identity = await issueOwnIdentity(config, authority);
  return { authority, identity, adminToken: await adminToken(config.dataDir) };
}

/** Issues this server's own certificate anew, with a new key. */
export async function issueOwnIdentity(config: InitConfig, authority: CertificateAuthority): Promise<ComponentIdentity> {
  const { keyPem, csrPem } = await createKeyAndRequest(ownComponentId);
  const named = { tenantId: config.tenantId, role: 'config-server', componentId: ownComponentId } as const;
  const { certificatePem } = await authority.issue({ csrPem, identity: named, dnsNames: certificateNames(config) });
  const identity = { ...named, certificatePem, keyPem, caPem: authority.certificatePem, configServerUrl: '', natsUrls: [] };
  await writeIdentity(config.dataDir, identity);
  return identity;
}

/** Text of the admin token, made at the first call. */
async function adminToken(dataDir: string): Promise<string> {
  const file = join(dataDir, 'admin-token');
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const token = randomBytes(32).toString('base64url');
  await writeWhole({ file, text: `${token}\n` });
  return token;
}

/** Names and addresses under which this server and nats-server are reached. */
export function certificateNames(config: InitConfig): string[] {
  return [...new Set([config.advertiseHost, ...config.certificateNames])];
}

/** Durable, readable by the owner only, never half written. */
export async function writeWhole({ file, text }: { readonly file: string; readonly text: string }): Promise<void> {
  const handle = await open(`${file}.tmp`, 'w', 0o600);
  await handle.writeFile(text);
  await handle.sync();
  await handle.close();
  await rename(`${file}.tmp`, file);
}
