// SPDX-License-Identifier: Apache-2.0
export { type AuthorityMaterial, type AuthorityOptions, CertificateAuthority, type IssuedCertificate, type IssueRequest } from './certificate-authority';
export { enroll, type EnrolOptions, ensureIdentity } from './enroll';
export {
  type EnrolmentAnswer,
  type EnrolmentRequest,
  EnrolmentService,
  type EnrolmentServiceOptions,
  type RenewalAnswer,
  type RenewalRequest,
} from './enrolment-service';
export {
  createEnrolmentToken,
  decideEnrolment,
  type EnrolmentDecision,
  type EnrolmentRefusal,
  enrolmentRefused,
  type EnrolmentTokenRecord,
  type EnrolmentTokenStore,
  type EnrolmentTokenUse,
  type NewEnrolmentToken,
  parseEnrolmentToken,
} from './enrolment-token';
export { authorityFingerprint } from './fingerprint';
export { type ComponentIdentity, type IdentityFiles, identityFiles, readIdentity, writeIdentity } from './identity-folder';
export { IdentityRotator, type IdentityRotatorOptions, renewalDueMillis, type RenewIdentity, renewIdentity } from './identity-rotator';
export { createKeyAndRequest, type KeyAndRequest } from './key-pair';
export { type ComponentRole, componentRoles, foreignCertificate, identityUri, isComponentRole, type PeerIdentity, peerIdentity } from './peer-identity';
export { clientTlsOptions, optionalClientTlsOptions, secureContextOptions, tlsOptions, verifiedPeer } from './tls-options';
