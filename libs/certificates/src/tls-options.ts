// SPDX-License-Identifier: Apache-2.0
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate, type SecureContextOptions, type TlsOptions, TLSSocket } from 'node:tls';
import type { ComponentIdentity } from './identity-folder';
import { type ComponentRole, foreignCertificate, type PeerIdentity, peerIdentity } from './peer-identity';

type Credentials = Pick<ComponentIdentity, 'certificatePem' | 'keyPem' | 'caPem'>;

/** AES-128-GCM first: with the processor's own instructions it is the fastest. */
const ciphers = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** What a server takes over on rotation (`server.setSecureContext`). */
export function secureContextOptions({ certificatePem, keyPem, caPem }: Credentials): SecureContextOptions & { ca: string } {
  // The authority's certificate goes along, so that an enrolling component can compare it with its token.
  return { cert: `${certificatePem}${caPem}`, key: keyPem, ca: caPem, minVersion: 'TLSv1.3', ciphers };
}

/**
 * Mutual TLS for node servers and for clients (also NATS): TLS 1.3 only, our authority is the only one trusted, and both sides must show a
 * certificate of it. Sessions are not resumed: a resumed session would skip the check of the certificate's time.
 */
export function tlsOptions(identity: Credentials) {
  return { ...secureContextOptions(identity), requestCert: true, rejectUnauthorized: true, secureOptions: constants.SSL_OP_NO_TICKET } satisfies TlsOptions;
}

/**
 * For a server that also talks to those who have no certificate yet (enrolment, people with a token). Every request must then look at
 * `verifiedPeer` before it does anything that needs an identity.
 */
export function optionalClientTlsOptions(identity: Credentials) {
  return { ...tlsOptions(identity), rejectUnauthorized: false } satisfies TlsOptions;
}

/** Mutual TLS for a client that expects the server to be one of ours, of a given role, and of its own tenant when it says so. */
export function clientTlsOptions(
  identity: Credentials,
  { serverRoles, tenantId }: { readonly serverRoles: readonly ComponentRole[]; readonly tenantId?: string },
): ConnectionOptions {
  return {
    ...tlsOptions(identity),
    checkServerIdentity: (host: string, certificate: PeerCertificate) => {
      const wrongName = checkServerIdentity(host, certificate);
      return wrongName ?? wrongServer(certificate, (peer) => serverRoles.includes(peer.role) && (tenantId ?? peer.tenantId) === peer.tenantId);
    },
  };
}

/**
 * Who is at the other end of a server's connection. Undefined when the peer showed no certificate. Throws `tls/foreign-certificate` when it
 * showed one that is not ours, has expired (also since the connection was made), or names no component.
 */
export function verifiedPeer(socket: Socket): PeerIdentity | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerCertificate();
  if (Object.keys(certificate).length === 0) return undefined;
  if (!socket.authorized || Date.parse(certificate.valid_to) < Date.now()) throw foreignCertificate();
  return peerIdentity(certificate);
}

function wrongServer(certificate: PeerCertificate, accepted: (peer: PeerIdentity) => boolean): Error | undefined {
  try {
    if (accepted(peerIdentity(certificate))) return undefined;
  } catch (error) {
    return error as Error;
  }
  return foreignCertificate(new Error('the server has a certificate of ours, but of another role or tenant'));
}
