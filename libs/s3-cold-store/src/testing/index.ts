// SPDX-License-Identifier: Apache-2.0
export { startS3, type TestS3 } from './start-s3';
