// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';

/** SHA-256 of a certificate (PEM, or DER bytes): 64 hexadecimal digits in lower case. */
export function authorityFingerprint(certificate: string | Buffer): string {
  return new X509Certificate(certificate).fingerprint256.replaceAll(':', '').toLowerCase();
}
