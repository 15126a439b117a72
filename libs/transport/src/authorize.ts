// SPDX-License-Identifier: Apache-2.0
import type { ComponentRole, PeerIdentity } from '@secondsite/certificates';
import type { Refusal, Route } from './change-set-protocol';

/** Decides whether a verified peer may talk about a pair; a refusal is answered with 403. Runs before a byte of the body is read. */
export type Authorize = (request: { readonly peer: PeerIdentity | undefined; readonly pairId: string; readonly kind: Route['kind'] }) => { readonly kind: 'allowed' } | Refusal;

/** Lets peers of the given tenant and roles in. Whether a pair is theirs is for the handler, which knows the pairs. */
export function allowRoles({ tenantId, roles }: { readonly tenantId: string; readonly roles: readonly ComponentRole[] }): Authorize {
  return ({ peer }) => {
    if (peer !== undefined && peer.tenantId === tenantId && roles.includes(peer.role)) return { kind: 'allowed' };
    return {
      kind: 'refused',
      code: 'tls/not-allowed',
      detail: peer === undefined ? 'the peer showed no certificate' : `a certificate of role ${peer.role} may not do this here`,
      hint: `Only ${roles.join(', ')} of the same tenant may connect; check which component has which certificate.`,
    };
  };
}

/** For the development switch `SECONDSITE_INSECURE=1` only. */
export const allowEveryone: Authorize = () => ({ kind: 'allowed' });
