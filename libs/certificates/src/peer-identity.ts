// SPDX-License-Identifier: Apache-2.0
import type { Role } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';

/** What a certificate of ours may be used as. `operator` is the command line of a person. */
export type ComponentRole = Role;

export const componentRoles: readonly ComponentRole[] = ['agent', 'process-server', 'master-target', 'config-server', 'operator'];

/** Who is at the other end of a verified mutual TLS connection. */
export interface PeerIdentity {
  readonly tenantId: string;
  readonly role: ComponentRole;
  readonly componentId: string;
}

/** Ids go into certificates, bus subjects and folder names, so they hold nothing that any of these could misread. */
export const identityNamePattern = /^[A-Za-z0-9_-]{1,64}$/;

const uriPattern = /^URI:secondsite:([^/,"\s]+)\/([^/,"\s]+)\/([^/,"\s]+)$/;

/** The URI that names a component inside its certificate. */
export function identityUri({ tenantId, role, componentId }: PeerIdentity): string {
  return `secondsite:${tenantId}/${role}/${componentId}`;
}

/**
 * Reads tenant, role and component from a certificate that TLS has already verified against our authority (`socket.getPeerCertificate()`).
 * Throws `tls/foreign-certificate` when it names no component, or more than one.
 */
export function peerIdentity(certificate: { readonly subjectaltname?: string | undefined }): PeerIdentity {
  const uris = (certificate.subjectaltname ?? '').split(', ').filter((name) => name.startsWith('URI:'));
  const [tenantId, role, componentId] = uriPattern.exec(uris.length === 1 ? (uris[0] as string) : '')?.slice(1) ?? [];
  if (tenantId === undefined || componentId === undefined || !isComponentRole(role)) throw foreignCertificate();
  if (!identityNamePattern.test(tenantId) || !identityNamePattern.test(componentId)) throw foreignCertificate();
  return { tenantId, role, componentId };
}

export function isComponentRole(value: unknown): value is ComponentRole {
  return componentRoles.includes(value as ComponentRole);
}

export function foreignCertificate(cause?: unknown): OperationError {
  return new OperationError({
    code: 'tls/foreign-certificate',
    operation: 'identify the peer',
    retryable: false,
    hint: 'The peer has no valid certificate of this installation; enrol it with a new token, and check clocks and the configuration server.',
    cause,
  });
}
