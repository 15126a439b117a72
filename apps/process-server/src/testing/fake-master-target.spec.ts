// SPDX-License-Identifier: Apache-2.0
import { describeReferringTarget } from '@secondsite/wan-deduplication/testing';
import { FakeMasterTarget, FakeReplicas } from '.';

const pairId = '6f1c0a52-0000-4000-8000-000000000001';
const scope = { tenantId: 'acme', blockBytes: 512 };

describeReferringTarget('the fake master target', async () => {
  const target = new FakeMasterTarget();
  const replicas = new FakeReplicas(scope);
  target.replicas = replicas;
  return {
    pairId, scope,
    store: (body, place) => target.store({ ...place, pairId, body, traceparent: undefined, oldestPending: undefined, lateTraces: [], peer: undefined }),
    content: async (bytes) => replicas.image(pairId).subarray(0, bytes),
    close: async () => undefined,
  };
});
