// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { authorityFingerprint } from './fingerprint';

/**
 * Fetches the authority's certificate from a server that is not trusted yet, and returns it (PEM) only if it has the pinned fingerprint.
 * Nothing is sent on that connection; the caller connects again with this authority as the only one it trusts.
 * Throws `tls/foreign-certificate` or `config-server/unreachable`.
 */
export async function fetchPinnedAuthority({ url, fingerprint, timeoutMillis = 10_000 }: { url: string; fingerprint: string; timeoutMillis?: number }): Promise<string> {
  const chain = await presentedChain(new URL(url), timeoutMillis);
  const authority = chain.find((raw) => authorityFingerprint(raw) === fingerprint);
  if (authority !== undefined) return `${new X509Certificate(authority).toString().trimEnd()}\n`;
  throw new OperationError({
    code: 'tls/foreign-certificate',
    operation: 'check the configuration server',
    context: { host: new URL(url).host },
    retryable: false,
    hint: 'What answers there does not have the authority that the token names; check the address, or create a new token at this server.',
  });
}

function presentedChain(url: URL, timeoutMillis: number): Promise<Buffer[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port: Number(url.port || 443), rejectUnauthorized: false, minVersion: 'TLSv1.3', ...servername });
    socket.setTimeout(timeoutMillis, () => socket.destroy(new Error(`no answer within ${timeoutMillis} ms`)));
    socket.once('error', (cause) => reject(unreachable(url, cause)));
    socket.once('secureConnect', () => {
      resolve(chainOf(socket));
      socket.destroy();
    });
  });
}

function chainOf(socket: TLSSocket): Buffer[] {
  const chain: Buffer[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && !chain.some((raw) => raw.equals(certificate?.raw as Buffer))) {
    chain.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function unreachable(url: URL, cause: unknown): OperationError {
  const hint = 'Check that the configuration server runs and that the network lets connections to it through.';
  const context = { host: url.host };
  return new OperationError({ code: 'config-server/unreachable', operation: 'check the configuration server', context, retryable: true, hint, cause });
}
