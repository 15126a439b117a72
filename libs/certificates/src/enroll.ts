// SPDX-License-Identifier: Apache-2.0
// Purpose: how a component gets its identity. The key is made here and never leaves; the configuration server is checked against the
// fingerprint in the token before the token is shown to it. The key is kept before it is sent, so that a lost answer or a crash costs nothing.
import { isOperationError, OperationError } from '@secondsite/units';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { enrolmentRefused, parseEnrolmentToken } from './enrolment-token';
import { authorityFingerprint } from './fingerprint';
import { type ComponentIdentity, readIdentity, writeIdentity } from './identity-folder';
import { createKeyAndRequest } from './key-pair';
import { isComponentRole } from './peer-identity';
import { fetchPinnedAuthority } from './pinned-authority';
import { postJson } from './post-json';
import { createSecretFile, readIfThere } from './secret-file';
import { clientTlsOptions } from './tls-options';

export interface EnrolOptions {
  /** Text of the token; a secret. */
  readonly token: string;
  /** `https://host:port`. Plain `http` only with `allowPlainHttp`. */
  readonly configServerUrl: string;
  readonly dataDir: string;
  /** What the component wants to be called. */
  readonly name: string;
  /** Names and addresses under which others reach it, besides localhost. */
  readonly dnsNames: readonly string[];
  /** The development switch: the token then travels readable by everyone on the way. */
  readonly allowPlainHttp?: boolean;
}

/**
 * Exchanges a token for an identity and writes it to `<dataDir>/identity`, durable on return. Can be repeated after any failure with the
 * same token. Throws `enrolment/token-unknown`, `-used`, `-expired`, `tls/foreign-certificate` (wrong server), `config-server/unreachable`
 * (retryable) and what the server refuses else.
 */
export async function enroll(options: EnrolOptions): Promise<ComponentIdentity> {
  const { token, configServerUrl, dataDir, name, dnsNames } = options;
  const parsed = parseEnrolmentToken(token);
  if (parsed === undefined) throw enrolmentRefused('enrolment/token-unknown');
  const { keyPem, csrPem } = await keptKeyAndRequest(dataDir, name);
  const tls = await pinnedTls(options, parsed.authorityFingerprint);
  const body = { token: token.trim(), csr: csrPem, name, dnsNames };
  const answer = await postJson({ configServerUrl, path: '/v1/enrolments', tls, body, operation: 'enrol' });
  const identity = identityFromAnswer({ answer, keyPem, configServerUrl });
  if (authorityFingerprint(identity.caPem) !== parsed.authorityFingerprint) throw badAnswer('the authority is not the one of the token');
  await writeIdentity(dataDir, identity);
  await rm(keyFile(dataDir), { force: true });
  return identity;
}

/**
 * The identity of this component: the one on disk, else enrols with the token given, trying again for as long as the configuration server
 * cannot be reached. Throws `enrolment/missing` when there is neither.
 */
export async function ensureIdentity({
  dataDir,
  enrolment,
  onRetry,
  signal,
}: {
  readonly dataDir: string;
  readonly enrolment: Omit<EnrolOptions, 'dataDir'> | undefined;
  /** Told about each failure that is tried again. */
  readonly onRetry?: (error: OperationError) => void;
  readonly signal?: AbortSignal;
}): Promise<ComponentIdentity> {
  const existing = await readIdentity(dataDir);
  if (existing !== undefined) return existing;
  if (enrolment === undefined) throw notEnrolled(dataDir);
  for (let waitMillis = 250; ; waitMillis = Math.min(waitMillis * 2, 10_000)) {
    try {
      return await enroll({ ...enrolment, dataDir });
    } catch (error) {
      if (!isOperationError(error) || !error.retryable) throw error;
      onRetry?.(error);
    }
    await delay(waitMillis, undefined, signal === undefined ? {} : { signal });
  }
}

async function pinnedTls({ configServerUrl, allowPlainHttp }: EnrolOptions, fingerprint: string) {
  if (new URL(configServerUrl).protocol === 'https:') {
    const caPem = await fetchPinnedAuthority({ url: configServerUrl, fingerprint });
    const { ca, minVersion, ciphers, checkServerIdentity, rejectUnauthorized } = clientTlsOptions(
      { caPem, certificatePem: '', keyPem: '' },
      { serverRoles: ['config-server'] },
    );
    return { ca, minVersion, ciphers, checkServerIdentity, rejectUnauthorized };
  }
  if (allowPlainHttp) return {};
  const hint = 'Give the https address of the configuration server.';
  throw new OperationError({ code: 'enrolment/plain-http', operation: 'enrol', context: { configServerUrl }, retryable: false, hint });
}

function keyFile(dataDir: string): string {
  return join(dataDir, 'identity', 'enrolling-key.pem');
}

async function keptKeyAndRequest(dataDir: string, name: string) {
  await mkdir(join(dataDir, 'identity'), { recursive: true, mode: 0o700 });
  const made = await createKeyAndRequest(name, await readIfThere(keyFile(dataDir)));
  await createSecretFile(keyFile(dataDir), made.keyPem);
  return made;
}

function identityFromAnswer({ answer, keyPem, configServerUrl }: { answer: Readonly<Record<string, unknown>>; keyPem: string; configServerUrl: string }): ComponentIdentity {
  const { certificate, ca, componentId, tenantId, role, natsUrls } = answer;
  if (typeof certificate !== 'string' || typeof ca !== 'string') throw badAnswer('certificates are missing');
  if (typeof componentId !== 'string' || typeof tenantId !== 'string' || !isComponentRole(role)) throw badAnswer('names are missing');
  if (!Array.isArray(natsUrls) || !natsUrls.every((url) => typeof url === 'string')) throw badAnswer('natsUrls is missing');
  return { componentId, tenantId, role, natsUrls, configServerUrl, certificatePem: certificate, caPem: ca, keyPem };
}

export function badAnswer(what: string): OperationError {
  const hint = 'The configuration server has another version or something else answers at its address.';
  return new OperationError({ code: 'config-server/bad-answer', operation: 'enrol', retryable: false, hint, cause: new Error(what) });
}

function notEnrolled(dataDir: string): OperationError {
  const hint = 'Start it once with SECONDSITE_ENROLL_TOKEN and SECONDSITE_CONFIG_SERVER_URL; `secondsite enroll token` makes the token.';
  return new OperationError({ code: 'enrolment/missing', operation: 'read the identity', context: { dataDir }, retryable: false, hint });
}
