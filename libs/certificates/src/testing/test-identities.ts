// SPDX-License-Identifier: Apache-2.0
import { CertificateAuthority } from '../certificate-authority';
import type { ComponentIdentity } from '../identity-folder';
import { createKeyAndRequest } from '../key-pair';
import type { PeerIdentity } from '../peer-identity';

/** Makes an authority that lives in memory. */
export async function createTestAuthority(options: { readonly lifetimeSeconds?: number } = {}): Promise<CertificateAuthority> {
  return CertificateAuthority.load(await CertificateAuthority.generate(options), options);
}

/** Issues a real certificate for a component, as enrolment would. */
export async function issueTestIdentity(
  authority: CertificateAuthority,
  component: Partial<PeerIdentity> & { readonly configServerUrl?: string; readonly lifetimeSeconds?: number } = {},
): Promise<ComponentIdentity> {
  const { tenantId = 'tenant-1', role = 'agent', componentId = `${role}-1`, configServerUrl = 'https://localhost:1', lifetimeSeconds } = component;
  const { keyPem, csrPem } = await createKeyAndRequest(componentId);
  const limit = lifetimeSeconds === undefined ? {} : { lifetimeSeconds };
  const { certificatePem } = await authority.issue({ csrPem, identity: { tenantId, role, componentId }, ...limit });
  return { tenantId, role, componentId, configServerUrl, natsUrls: [], certificatePem, keyPem, caPem: authority.certificatePem };
}
