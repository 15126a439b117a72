// SPDX-License-Identifier: Apache-2.0
export { EnrolmentServer } from './enrolment-server';
export { MemoryTokenStore } from './memory-token-store';
export { createTestAuthority, issueTestIdentity } from './test-identities';
