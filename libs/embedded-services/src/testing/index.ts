// SPDX-License-Identifier: Apache-2.0
export { startTestNats, type TestNats } from './test-nats';
export { startTestPostgres, type TestPostgres } from './test-postgres';
export { temporaryFolder } from './temporary-folder';
