// SPDX-License-Identifier: Apache-2.0
// Purpose: the identity of a component on disk: `<dataDir>/identity/{ca.pem,cert.pem,key.pem,component.json}`.
// Invariant: readers see files that belong together. A change is written whole to `identity/next.tmp`, becomes valid by its rename to
// `identity/next`, and is then moved into place file by file; a crash in between is finished by the next reader or writer.
import { OperationError } from '@secondsite/units';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isComponentRole, type PeerIdentity } from './peer-identity';
import { isNodeError, readIfThere, syncFolder, writeDurable } from './secret-file';

/** Everything a component needs to prove who it is and to check others. `keyPem` is a secret: never log an identity. */
export interface ComponentIdentity extends PeerIdentity {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The authority's certificate: the only one that is trusted. */
  readonly caPem: string;
  readonly configServerUrl: string;
  readonly natsUrls: readonly string[];
}

/** Paths of the files, for those who read them by themselves (NATS); they keep these names for good and are replaced on rotation. */
export interface IdentityFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly componentFile: string;
}

export function identityFiles(dataDir: string): IdentityFiles {
  const folder = join(dataDir, 'identity');
  return {
    caFile: join(folder, 'ca.pem'),
    certFile: join(folder, 'cert.pem'),
    keyFile: join(folder, 'key.pem'),
    componentFile: join(folder, 'component.json'),
  };
}

/** Undefined when the component was never enrolled. Throws `certificate/damaged-identity` when files are missing, damaged or do not belong together. */
export async function readIdentity(dataDir: string): Promise<ComponentIdentity | undefined> {
  await finishChange(join(dataDir, 'identity'));
  const files = identityFiles(dataDir);
  const [caPem, certificatePem, keyPem, component] = await Promise.all(
    [files.caFile, files.certFile, files.keyFile, files.componentFile].map((file) => readIfThere(file)),
  );
  if (component === undefined && certificatePem === undefined) return undefined;
  try {
    const identity = { ...parseComponent(component ?? ''), caPem: caPem ?? '', certificatePem: certificatePem ?? '', keyPem: keyPem ?? '' };
    checkTogether(identity);
    return identity;
  } catch (cause) {
    const hint = 'Remove the folder and enrol the component again with a new token.';
    const context = { folder: join(dataDir, 'identity') };
    throw new OperationError({ code: 'certificate/damaged-identity', operation: 'read the identity', context, retryable: false, hint, cause });
  }
}

/**
 * Writes or replaces the identity; durable and whole on return, and never half of it after a crash. Only one process may write.
 * Throws `certificate/mismatch`, before it writes anything, when certificate, key and authority do not belong together.
 */
export async function writeIdentity(dataDir: string, identity: ComponentIdentity): Promise<void> {
  refuseMismatch(identity);
  const folder = join(dataDir, 'identity');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await finishChange(folder);
  const temporary = join(folder, 'next.tmp');
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { mode: 0o700 });
  const { tenantId, role, componentId, configServerUrl, natsUrls } = identity;
  const component = `${JSON.stringify({ componentId, role, tenantId, configServerUrl, natsUrls }, null, 2)}\n`;
  await writeDurable({ file: join(temporary, 'ca.pem'), text: identity.caPem, mode: 0o644 });
  await writeDurable({ file: join(temporary, 'cert.pem'), text: identity.certificatePem, mode: 0o644 });
  await writeDurable({ file: join(temporary, 'key.pem'), text: identity.keyPem, mode: 0o600 });
  await writeDurable({ file: join(temporary, 'component.json'), text: component, mode: 0o644 });
  await syncFolder(temporary);
  await rename(temporary, join(folder, 'next'));
  await syncFolder(folder);
  await finishChange(folder);
}

async function finishChange(folder: string): Promise<void> {
  const next = join(folder, 'next');
  for (const name of await namesIn(next)) await rename(join(next, name), join(folder, name)).catch(unlessMissing);
  await rmdir(next).catch(unlessMissing);
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    unlessMissing(error);
    return [];
  });
}

/** Missing means that another process has just finished the same change. */
function unlessMissing(error: unknown): void {
  if (!isNodeError(error, 'ENOENT')) throw error;
}

function parseComponent(text: string): PeerIdentity & Pick<ComponentIdentity, 'configServerUrl' | 'natsUrls'> {
  const { componentId, role, tenantId, configServerUrl, natsUrls } = JSON.parse(text) as Record<string, unknown>;
  const texts = [componentId, tenantId, configServerUrl].every((value) => typeof value === 'string');
  if (!texts || !isComponentRole(role) || !Array.isArray(natsUrls)) throw new Error('component.json is not complete');
  return { componentId, role, tenantId, configServerUrl, natsUrls } as ReturnType<typeof parseComponent>;
}

function refuseMismatch(identity: ComponentIdentity): void {
  try {
    checkTogether(identity);
  } catch (cause) {
    const hint = 'The configuration server answered with a certificate that does not fit; see its log.';
    throw new OperationError({ code: 'certificate/mismatch', operation: 'write the identity', retryable: true, hint, cause });
  }
}

function checkTogether({ certificatePem, keyPem, caPem }: ComponentIdentity): void {
  const certificate = new X509Certificate(certificatePem);
  if (!certificate.verify(new X509Certificate(caPem).publicKey)) throw new Error('ca.pem did not issue cert.pem');
  if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) throw new Error('key.pem does not belong to cert.pem');
}
