// SPDX-License-Identifier: Apache-2.0
import * as runner from '@jest/globals';
import { describeColdStoreContract } from '@secondsite/retention-journal/testing';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { S3ColdStore } from './s3-cold-store';
import { startS3, type TestS3 } from './testing';

const { afterAll, beforeAll, describe, expect, it } = runner;
let s3: TestS3;

beforeAll(async () => {
  s3 = await startS3();
});
afterAll(() => s3?.stop());

let roots = 0;
const storeAt = (root = `prefix/tenant-${roots++}`): S3ColdStore => new S3ColdStore({ endpoint: s3.endpoint, bucket: s3.bucket, region: 'us-east-1', root, pageObjects: 4 });

describeColdStoreContract('S3', async () => {
  const store = storeAt();
  return { store, dispose: async () => store.close() };
}, runner);

describe('a cold store on S3', () => {
  it('keeps to the folder of its tenant', async () => {
    const [mine, other] = [storeAt('prefix/one'), storeAt('prefix/one2')];
    await mine.put('mt/1', Uint8Array.of(1));
    await other.put('mt/1', Uint8Array.of(2));
    expect(await mine.read('mt/1', { offset: 0, length: 9 })).toEqual(Uint8Array.of(1));
    const listed: unknown[] = [];
    for await (const page of mine.list('')) listed.push(...page);
    expect(listed).toEqual([{ name: 'mt/1', bytes: 1 }]);
    await mine.remove(['mt/1']);
    expect(await other.read('mt/1', { offset: 0, length: 9 })).toEqual(Uint8Array.of(2));
  });

  it('says what is wrong with a bucket that is not there, and with credentials', async () => {
    const nowhere = new S3ColdStore({ endpoint: s3.endpoint, bucket: 'another', region: 'us-east-1', root: 'r' });
    await expect(nowhere.put('a', Uint8Array.of(1))).rejects.toMatchObject({ code: 'cold-store/refused', retryable: false, hint: expect.stringContaining('SECONDSITE_COLD_BUCKET') });
    const before = { ...process.env };
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'secret-of-nobody' });
    const failure = await storeAt().put('a', Uint8Array.of(1)).catch((error: unknown) => error);
    Object.assign(process.env, before);
    expect(failure).toMatchObject({ code: 'cold-store/refused', hint: expect.stringContaining('credentials') });
    expect(inspect(failure, { depth: 9 })).not.toContain('secret-of-nobody');
  });

  it.each([['a wrong size', { 'content-length': '3' }], ['another ETag', { 'content-length': '4', etag: `"${'0'.repeat(32)}"` }]])('believes no store that says %s of what it was given', async (_, headers) => {
    await withServer((request, response) => {
      request.resume().on('end', () => response.writeHead(200, request.method === 'HEAD' ? headers : {}).end());
    }, async (endpoint) => {
      const store = new S3ColdStore({ endpoint, bucket: 'bucket', region: 'us-east-1', root: 'r' });
      await expect(store.put('a', Uint8Array.of(1, 2, 3, 4))).rejects.toMatchObject({ code: 'cold-store/not-whole', retryable: true });
      store.close();
    });
  });

  it.each([
    ['nothing', () => undefined],
    ['only a part', (_request, response) => void response.writeHead(206, { 'content-length': '100' }).write('x')],
  ] satisfies [string, RequestListener][])('gives up a store that answers %s in time', async (_, answer) => {
    await withServer(answer, async (endpoint) => {
      const store = new S3ColdStore({ endpoint, bucket: 'bucket', region: 'us-east-1', root: 'r', requestMillisMax: 200 });
      await expect(store.read('a', { offset: 0, length: 100 })).rejects.toMatchObject({ code: 'cold-store/unreachable', retryable: true });
      store.close();
    });
  });
});

async function withServer(listener: RequestListener, run: (endpoint: string) => Promise<void>): Promise<void> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
