// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { BasicConstraintsExtension, type Extension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

export interface TestIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A throw-away certificate authority; each call of the result makes an identity for localhost signed by it. */
export async function testAuthority(): Promise<(commonName: string) => Promise<TestIdentity>> {
  const authority = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const name = 'CN=test authority';
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const ca = await X509CertificateGenerator.create(
    { subject: name, issuer: name, publicKey: authority.publicKey, signingKey: authority.privateKey, signingAlgorithm: algorithm, ...validity, extensions: [new BasicConstraintsExtension(true, undefined, true)] },
    webcrypto,
  );
  return async (commonName) => {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const names = new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }, { type: 'ip', value: '127.0.0.1' }]);
    const extensions: Extension[] = [names];
    const certificate = await X509CertificateGenerator.create(
      { subject: `CN=${commonName}`, issuer: name, publicKey: keys.publicKey, signingKey: authority.privateKey, signingAlgorithm: algorithm, ...validity, extensions },
      webcrypto,
    );
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    return { ca: ca.toString('pem'), cert: certificate.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` };
  };
}
