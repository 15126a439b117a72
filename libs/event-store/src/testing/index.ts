// SPDX-License-Identifier: Apache-2.0
export { createHostsTable, hostsProjection } from './hosts-projection';
