// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata';
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator, type PublicKey } from '@peculiar/x509';
import { OperationError } from '@secondsite/units';
import { createHash, createPrivateKey, webcrypto } from 'node:crypto';

export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface KeyAndRequest {
  /** PKCS #8 in PEM; it never leaves the machine. */
  readonly keyPem: string;
  /** PKCS #10 in PEM. */
  readonly csrPem: string;
}

/** Makes a new ECDSA P-256 key and a certificate request signed by it; or a request for the key given. */
export async function createKeyAndRequest(componentName: string, existingKeyPem?: string): Promise<KeyAndRequest> {
  const keys = existingKeyPem === undefined ? await generateKeyPair() : await pairFromPem(existingKeyPem);
  const request = await Pkcs10CertificateRequestGenerator.create({ name: [{ CN: [componentName] }], keys, signingAlgorithm });
  return { keyPem: existingKeyPem ?? (await keyToPem(keys.privateKey)), csrPem: request.toString('pem') };
}

export async function generateKeyPair(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
}

export async function keyToPem(key: webcrypto.CryptoKey): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key);
  return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }) as string;
}

export async function keyFromPem(pem: string): Promise<webcrypto.CryptoKey> {
  const pkcs8 = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' });
  return webcrypto.subtle.importKey('pkcs8', new Uint8Array(pkcs8), signingAlgorithm, true, ['sign']);
}

async function pairFromPem(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await keyFromPem(pem);
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const jwk = { kty, crv, x, y } as webcrypto.JsonWebKey;
  return { privateKey, publicKey: await webcrypto.subtle.importKey('jwk', jwk, signingAlgorithm, true, ['verify']) };
}

/** The public key of a PKCS #10 request whose sender proved to have the private one. Throws `certificate/bad-request`. */
export async function requestPublicKey(csrPem: string): Promise<PublicKey> {
  try {
    const request = new Pkcs10CertificateRequest(csrPem);
    const algorithm = request.publicKey.algorithm as { readonly name: string; readonly namedCurve?: string };
    if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') throw new Error('the key is not ECDSA P-256');
    if (!(await request.verify())) throw new Error('its signature does not fit its key');
    return request.publicKey;
  } catch (cause) {
    const hint = 'Send a PKCS #10 request in PEM, made with an ECDSA P-256 key and signed by it.';
    throw new OperationError({ code: 'certificate/bad-request', operation: 'read a certificate request', retryable: false, hint, cause });
  }
}

/** SHA-256 of that key, hexadecimal: tells whether two requests come from the same machine. */
export async function requestPublicKeySha256(csrPem: string): Promise<string> {
  const { rawData } = await requestPublicKey(csrPem);
  return createHash('sha256').update(new Uint8Array(rawData)).digest('hex');
}
