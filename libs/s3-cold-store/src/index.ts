// SPDX-License-Identifier: Apache-2.0
export { S3ColdStore, type S3ColdStoreOptions } from './s3-cold-store';
