// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';

/** What is known of an error of the S3 client: a service's answer has a status, a network failure none. */
interface ClientFailure {
  readonly name?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

export interface S3Use {
  readonly operation: string;
  readonly bucket: string;
  readonly name: string;
}

/** See ColdStore for the codes. Never carries what a request was signed with. */
export function s3Failure(error: unknown, { operation, bucket, name }: S3Use): OperationError {
  const { name: kind = '', $metadata } = error as ClientFailure;
  const status = $metadata?.httpStatusCode ?? 0;
  const context = { bucket, name, kind, status };
  const fail = (code: string, retryable: boolean, hint: string): OperationError => new OperationError({ code, operation, context, retryable, hint, cause: error });
  if (kind === 'BadDigest') return fail('cold-store/not-whole', true, 'The object was damaged on its way; it is sent again by itself.');
  if (kind === 'NoSuchBucket') return fail('cold-store/refused', false, `Make the bucket ${bucket}, or correct SECONDSITE_COLD_BUCKET and SECONDSITE_COLD_REGION.`);
  if (status === 404) return fail('cold-store/not-found', false, 'Somebody removed the object from the bucket: recovery points that need it are lost. Look at the lifecycle rules of the bucket.');
  if (kind === 'CredentialsProviderError') return fail('cold-store/refused', false, 'There are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.');
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return fail('cold-store/refused', false, `The store refused the request (${kind}). Check the credentials, their rights on bucket ${bucket} and the clock of this machine.`);
  }
  return fail('cold-store/unreachable', true, `Check the store of bucket ${bucket} and the way there (SECONDSITE_COLD_ENDPOINT); it is tried again by itself.`);
}

export function keptOtherBytes({ operation, bucket, name }: S3Use): OperationError {
  return new OperationError({
    code: 'cold-store/not-whole', operation, context: { bucket, name }, retryable: true,
    hint: 'The store says that it keeps other bytes than were sent; they are sent again by themselves. If it stays so, look at the store.',
  });
}
