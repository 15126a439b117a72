// SPDX-License-Identifier: Apache-2.0
export { type Acknowledgement, acknowledgementsOf, judgeRecovery, readGuestCheck } from '../demo/acknowledgements';
export { guestCacheFolder } from '../config';
export { type CliFailure, type ClusterProcess, type PlanOptions, TestCluster, type TestDisk, waitFor } from './test-cluster';
