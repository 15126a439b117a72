// SPDX-License-Identifier: Apache-2.0
import type { CertificateAuthority } from './certificate-authority';
import { decideEnrolment, type EnrolmentDecision, enrolmentRefused, type EnrolmentTokenStore, parseEnrolmentToken } from './enrolment-token';
import type { ComponentRole, PeerIdentity } from './peer-identity';
import { requestPublicKeySha256 } from './key-pair';

/** Body of `POST /v1/enrolments`. `token` is a secret. */
export interface EnrolmentRequest {
  readonly token: string;
  readonly csr: string;
  readonly name: string;
  readonly dnsNames: readonly string[];
}

export interface EnrolmentAnswer {
  readonly certificate: string;
  readonly ca: string;
  readonly componentId: string;
  readonly tenantId: string;
  readonly role: ComponentRole;
  readonly natsUrls: readonly string[];
}

/** Body of `POST /v1/certificates/renewals`. */
export interface RenewalRequest {
  readonly csr: string;
  readonly dnsNames: readonly string[];
}

export interface RenewalAnswer {
  readonly certificate: string;
  readonly ca: string;
}

export interface EnrolmentServiceOptions {
  readonly authority: CertificateAuthority;
  readonly tokens: EnrolmentTokenStore;
  /** What enrolled components are told. */
  readonly natsUrls: readonly string[];
  /**
   * Gives a new component its id (1 to 64 letters, digits, dashes, underscores), never one that another machine has. May throw an
   * OperationError such as `enrolment/name-taken`; the token then stays unused.
   */
  readonly chooseComponentId: (component: { readonly tenantId: string; readonly role: ComponentRole; readonly name: string }) => Promise<string>;
  /** Default: the system clock. */
  readonly nowMillis?: () => number;
}

/** The configuration server's side of enrolment and renewal, without HTTP. */
export class EnrolmentService {
  constructor(private readonly options: EnrolmentServiceOptions) {}

  /**
   * Exchanges a token for a certificate. Throws `enrolment/token-unknown`, `-used`, `-expired` or `certificate/bad-request`. Repeating the
   * same request with the same key gives the same component a certificate again, as long as the token has not expired.
   */
  async enrol({ token, csr, name, dnsNames }: EnrolmentRequest): Promise<EnrolmentAnswer> {
    const { authority, natsUrls, tokens, nowMillis = Date.now } = this.options;
    const parsed = parseEnrolmentToken(token);
    if (parsed === undefined) throw enrolmentRefused('enrolment/token-unknown');
    const publicKeySha256 = await requestPublicKeySha256(csr);
    const decide = async () => decideEnrolment(await tokens.find(parsed.tokenHash), { nowMillis: nowMillis(), publicKeySha256 });
    const decision = await decide();
    if (decision.kind === 'refused') throw enrolmentRefused(decision.code);
    const { tenantId, role } = decision.record;
    const componentId = decision.kind === 'repeat' ? decision.componentId : await this.options.chooseComponentId({ tenantId, role, name });
    // Issued before the use is recorded: a bad request must not cost the token. Nobody sees the certificate unless the use is recorded.
    const issued = await authority.issue({ csrPem: csr, identity: { tenantId, role, componentId }, dnsNames });
    if (decision.kind === 'accepted' && !(await tokens.markUsed(parsed.tokenHash, { usedAtMillis: nowMillis(), componentId, publicKeySha256 }))) {
      throw enrolmentRefused(refusalAfterRace(await decide()));
    }
    return { certificate: issued.certificatePem, ca: authority.certificatePem, componentId, tenantId, role, natsUrls };
  }

  /** Renews the certificate of a peer that mutual TLS has verified: same identity, new key, new time. */
  async renew(peer: PeerIdentity, { csr, dnsNames }: RenewalRequest): Promise<RenewalAnswer> {
    const issued = await this.options.authority.issue({ csrPem: csr, identity: peer, dnsNames });
    return { certificate: issued.certificatePem, ca: this.options.authority.certificatePem };
  }
}

function refusalAfterRace(decision: EnrolmentDecision) {
  return decision.kind === 'refused' ? decision.code : 'enrolment/token-used';
}
