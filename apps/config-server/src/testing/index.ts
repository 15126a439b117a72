// SPDX-License-Identifier: Apache-2.0
export { type RestAnswer, type RestCall, RestClient } from './rest-client';
export { startTestCluster, type TestCluster } from './test-cluster';
export { TestComponent } from './test-component';
