// SPDX-License-Identifier: Apache-2.0
export { TestCluster, waitFor } from './test-cluster';
