// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import S3rver from 's3rver';

export interface TestS3 {
  readonly endpoint: string;
  readonly bucket: string;
  /** Nobody can connect any more; what is stored stays. */
  pause(): Promise<void>;
  /** At the same address. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** A real S3 server with an empty bucket, and its credentials in the environment of this process. */
export async function startS3(): Promise<TestS3> {
  const directory = await mkdtemp(join(tmpdir(), 'ss-s3-'));
  const bucket = 'undo';
  const start = async (port: number): Promise<{ server: S3rver; port: number }> => {
    const server = new S3rver({ address: '127.0.0.1', port, silent: true, directory, configureBuckets: [{ name: bucket, configs: [] }] });
    return { server, port: (await server.run()).port };
  };
  const { server, port } = await start(0);
  let running: S3rver | undefined = server;
  const pause = async (): Promise<void> => {
    const paused = running;
    running = undefined;
    await paused?.close();
  };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' });
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    pause,
    resume: async () => void (running = (await start(port)).server),
    stop: async () => {
      await pause();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
