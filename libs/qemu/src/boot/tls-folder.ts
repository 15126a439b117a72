// SPDX-License-Identifier: Apache-2.0
import { mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** QEMU's names (tls-creds-x509, endpoint=client) for the files of an identity folder. */
const names: Readonly<Record<string, string>> = { 'ca-cert.pem': 'ca.pem', 'client-cert.pem': 'cert.pem', 'client-key.pem': 'key.pem' };

/** Presents an identity folder (ca.pem, cert.pem, key.pem) in QEMU's layout by links; nothing is copied, so rotation shows at the next boot. */
export async function linkTlsFolder(options: { identityFolder: string; into: string }): Promise<string> {
  await mkdir(options.into, { recursive: true });
  for (const [name, file] of Object.entries(names)) await symlink(resolve(options.identityFolder, file), join(options.into, name));
  return options.into;
}
