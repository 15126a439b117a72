// SPDX-License-Identifier: Apache-2.0
// The ColdStore port on S3. Invariants: a request has a time limit; nothing leaves the folder `root`, which is the tenant's (I10).
import {
  DeleteObjectCommand, GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand, type HeadObjectCommandOutput, ListObjectsCommand, PutObjectCommand, S3Client,
} from '@aws-sdk/client-s3';
import type { ColdObject, ColdStore } from '@secondsite/retention-journal';
import { type ByteCount, OperationError } from '@secondsite/units';
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { keptOtherBytes, s3Failure } from './s3-failure';

export interface S3ColdStoreOptions {
  /** Absent: that of AWS for the region. Given: bucket names go into paths. */
  readonly endpoint?: string | undefined;
  readonly bucket: string;
  readonly region: string;
  /** Folder in the bucket, without slashes at its ends; all names count from there. */
  readonly root: string;
  /** Objects in a page of a listing; default 1000, the most that S3 gives. */
  readonly pageObjects?: number;
  /** Time limit of a request that carries little; default 10 s. One that carries an object to the store has six times as much. */
  readonly requestMillisMax?: number;
}

const REMOVALS_AT_ONCE = 16;

export class S3ColdStore implements ColdStore {
  readonly #client: S3Client;
  readonly #options: S3ColdStoreOptions;
  readonly #closing = new AbortController();

  constructor(options: S3ColdStoreOptions) {
    this.#options = options;
    this.#client = new S3Client({
      region: options.region,
      maxAttempts: 2,
      // Not every store knows the newer checksums; what is stored is checked by MD5 and ETag, what is read by the reader.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...(options.endpoint !== undefined && { endpoint: options.endpoint, forcePathStyle: true }),
    });
  }

  async put(name: string, content: Uint8Array): Promise<void> {
    const md5 = createHash('md5').update(content).digest();
    await this.#use('store object', name, { weight: 6 }, async (abortSignal) => {
      const command = new PutObjectCommand({ ...this.#address(name), Body: content, ContentLength: content.length, ContentMD5: md5.toString('base64') });
      await this.#client.send(command, { abortSignal });
    });
    const found = await this.#use('confirm object', name, {}, (abortSignal) => this.#client.send(new HeadObjectCommand(this.#address(name)), { abortSignal }));
    if (!isWhole(found, { bytes: content.length, md5: md5.toString('hex') })) throw keptOtherBytes({ operation: 'store object', bucket: this.#options.bucket, name });
  }

  async read(name: string, { offset, length }: { readonly offset: number; readonly length: ByteCount }): Promise<Uint8Array> {
    return this.#use('read object', name, {}, async (abortSignal) => {
      const command = new GetObjectCommand({ ...this.#address(name), Range: `bytes=${offset}-${offset + length - 1}` });
      return bodyOf(await this.#client.send(command, { abortSignal }), abortSignal);
    });
  }

  /** By the first version of the listing, which every store has: it goes on from a name, not from a token. */
  async *list(prefix: string): AsyncGenerator<readonly ColdObject[]> {
    const { Bucket, Key: Prefix } = this.#address(prefix);
    for (let marker: string | undefined, isLast = false; !isLast; ) {
      const command = new ListObjectsCommand({ Bucket, Prefix, MaxKeys: this.#options.pageObjects, Marker: marker });
      const { Contents = [], IsTruncated } = await this.#use('list objects', prefix, {}, (abortSignal) => this.#client.send(command, { abortSignal }));
      yield Contents.map(({ Key = '', Size = 0 }) => ({ name: Key.slice(this.#options.root.length + 1), bytes: Size }));
      marker = Contents.at(-1)?.Key;
      isLast = IsTruncated !== true || marker === undefined;
    }
  }

  async remove(names: readonly string[]): Promise<void> {
    for (let at = 0; at < names.length; at += REMOVALS_AT_ONCE) {
      await Promise.all(names.slice(at, at + REMOVALS_AT_ONCE).map((name) =>
        this.#use('remove object', name, {}, (abortSignal) => this.#client.send(new DeleteObjectCommand(this.#address(name)), { abortSignal })),
      ));
    }
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  #address(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#options.root}/${name}` };
  }

  /** `weight`: how many times longer it may take. */
  async #use<Result>(operation: string, name: string, { weight = 1 }: { readonly weight?: number }, request: (abortSignal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { bucket, requestMillisMax = 10_000 } = this.#options;
    if (this.#closing.signal.aborted) throw closed();
    try {
      return await request(AbortSignal.any([this.#closing.signal, AbortSignal.timeout(requestMillisMax * weight)]));
    } catch (error) {
      throw this.#closing.signal.aborted ? closed() : s3Failure(error, { operation, bucket, name });
    }
  }
}

/** The client does not end a body that stops coming; the signal does. */
async function bodyOf({ Body }: GetObjectCommandOutput, signal: AbortSignal): Promise<Uint8Array> {
  if (!Body) return new Uint8Array(0);
  const end = (): void => void (Body as Readable).destroy(new Error('the answer took too long'));
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Body.transformToByteArray();
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** An ETag that looks like an MD5 is one, unless the store encrypts with a key of a key service or of the caller. */
function isWhole({ ContentLength, ETag = '', ServerSideEncryption = 'AES256', SSECustomerAlgorithm }: HeadObjectCommandOutput, { bytes, md5 }: { readonly bytes: ByteCount; readonly md5: string }): boolean {
  const tag = ETag.replaceAll('"', '');
  const tagIsMd5 = /^[0-9a-f]{32}$/.test(tag) && ServerSideEncryption === 'AES256' && SSECustomerAlgorithm === undefined;
  return ContentLength === bytes && (!tagIsMd5 || tag === md5);
}

function closed(): OperationError {
  return new OperationError({ code: 'cold-store/unreachable', operation: 'use cold store', retryable: true, hint: 'The pair is being closed.' });
}
