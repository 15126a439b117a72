// SPDX-License-Identifier: Apache-2.0
// Purpose: the installation's own certificate authority. It alone decides what a certificate says: of a request it uses the public key only,
// after checking that the sender has the private one.
import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  type PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { OperationError } from '@secondsite/units';
import { randomBytes, type webcrypto } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { authorityFingerprint } from './fingerprint';
import { generateKeyPair, keyFromPem, keyToPem, requestPublicKey, signingAlgorithm } from './key-pair';
import { identityNamePattern, identityUri, type PeerIdentity } from './peer-identity';
import { createSecretFile, readIfThere } from './secret-file';

export interface AuthorityOptions {
  /** Default 30 days. */
  readonly lifetimeSeconds?: number;
  /** Milliseconds since 1970; default the system clock. */
  readonly now?: () => number;
}

export interface IssueRequest {
  /** PKCS #10 in PEM. Only its public key is used. */
  readonly csrPem: string;
  /** Decided by the caller, never by the request. */
  readonly identity: PeerIdentity;
  /** Further names and addresses under which the component is reached, besides localhost. */
  readonly dnsNames?: readonly string[];
  /** Default: the authority's. */
  readonly lifetimeSeconds?: number;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
  readonly notAfter: Date;
}

/** The authority as text, to be kept where its owner wants. The key is a secret. */
export interface AuthorityMaterial {
  readonly keyPem: string;
  readonly certificatePem: string;
}

const dayMillis = 86_400_000;
const authorityLifetimeMillis = 3650 * dayMillis;
/** A certificate is valid from this long before it was issued, because clocks of two machines may differ. */
export const clockSkewMillis = 60_000;
const lifetimeSecondsDefault = 30 * 86_400;
const namesMax = 16;
const hostNamePattern = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

export class CertificateAuthority {
  private constructor(
    private readonly key: webcrypto.CryptoKey,
    private readonly certificate: X509Certificate,
    private readonly options: AuthorityOptions,
  ) {}

  /** Makes a new authority; nothing is written. */
  static async generate(options: AuthorityOptions = {}): Promise<AuthorityMaterial> {
    const keys = await generateKeyPair();
    const now = (options.now ?? Date.now)();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomSerial(),
      name: [{ CN: ['Secondsite authority'] }, { OU: [randomBytes(8).toString('hex')] }],
      notBefore: new Date(now - clockSkewMillis),
      notAfter: new Date(now + authorityLifetimeMillis),
      signingAlgorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return { keyPem: await keyToPem(keys.privateKey), certificatePem: certificate.toString('pem') };
  }

  static async load(material: AuthorityMaterial, options: AuthorityOptions = {}): Promise<CertificateAuthority> {
    return new CertificateAuthority(await keyFromPem(material.keyPem), new X509Certificate(material.certificatePem), options);
  }

  /** Opens the authority in a folder (`authority.pem`, 0600: key and certificate in one file, so that there is never half of it), or makes one. */
  static async openFolder(folder: string, options: AuthorityOptions = {}): Promise<CertificateAuthority> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'authority.pem');
    if ((await readIfThere(file)) === undefined) {
      const made = await CertificateAuthority.generate(options);
      // Of two processes that start at once, one creates the file and both use it.
      await createSecretFile(file, made.keyPem.trimEnd() + '\n' + made.certificatePem.trimEnd() + '\n');
    }
    return CertificateAuthority.load(splitMaterial((await readIfThere(file)) ?? '', file), options);
  }

  get certificatePem(): string {
    return `${this.certificate.toString('pem').trimEnd()}\n`;
  }

  /** SHA-256 of the certificate, 64 hexadecimal digits in lower case: what an enrolment token pins. */
  get fingerprint(): string {
    return authorityFingerprint(this.certificatePem);
  }

  /** Issues a certificate. Throws `certificate/bad-request` for a request that is no valid PKCS #10 or a name that is none. */
  async issue({ csrPem, identity, dnsNames = [], lifetimeSeconds }: IssueRequest): Promise<IssuedCertificate> {
    const publicKey = await requestPublicKey(csrPem);
    const names = alternativeNames(identity, dnsNames);
    const now = (this.options.now ?? Date.now)();
    const lifetime = lifetimeSeconds ?? this.options.lifetimeSeconds ?? lifetimeSecondsDefault;
    const notAfter = new Date(now + lifetime * 1000);
    const certificate = await X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      subject: [{ O: [identity.tenantId] }, { OU: [identity.role] }, { CN: [identity.componentId] }],
      issuer: this.certificate.subjectName,
      notBefore: new Date(now - clockSkewMillis),
      notAfter,
      publicKey,
      signingKey: this.key,
      signingAlgorithm,
      extensions: await this.leafExtensions(publicKey, names),
    });
    return { certificatePem: `${certificate.toString('pem').trimEnd()}\n`, serialNumber: certificate.serialNumber, notAfter };
  }

  private async leafExtensions(publicKey: PublicKey, names: JsonGeneralName[]) {
    return [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(this.certificate.publicKey),
    ];
  }
}

function alternativeNames(identity: PeerIdentity, extra: readonly string[]): JsonGeneralName[] {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...extra]);
  if (extra.length > namesMax || extra.some((name) => isIP(name) === 0 && !hostNamePattern.test(name))) {
    throw badRequest(`Give at most ${namesMax} host names or addresses, without wildcards.`);
  }
  if (!identityNamePattern.test(identity.tenantId) || !identityNamePattern.test(identity.componentId)) {
    throw badRequest('Names of tenants and components have 1 to 64 letters, digits, dashes or underscores.');
  }
  const uri: JsonGeneralName = { type: 'url', value: identityUri(identity) };
  return [uri, ...[...names].map((value): JsonGeneralName => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))];
}

/** 16 random bytes with the top bit clear (a positive ASN.1 integer) and not starting with zero. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function splitMaterial(text: string, file: string): AuthorityMaterial {
  const [keyPem] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text) ?? [];
  const [certificatePem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? [];
  if (keyPem !== undefined && certificatePem !== undefined) return { keyPem, certificatePem };
  const hint = 'Restore the file from a copy; without it every component has to be enrolled again.';
  throw new OperationError({ code: 'certificate/damaged-authority', operation: 'open the authority', context: { file }, retryable: false, hint });
}

function badRequest(hint: string): OperationError {
  return new OperationError({ code: 'certificate/bad-request', operation: 'issue a certificate', retryable: false, hint });
}
