// SPDX-License-Identifier: Apache-2.0
// A thread begins with its pair or volume: what it loads is waited for by a first resynchronisation, and held in memory once for each pair.
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = resolve(__dirname, '../..');
const workers = ['apps/agent/dist/volume/volume.worker.js', 'apps/master-target/dist/pair/pair.worker.js', 'apps/process-server/dist/deduplication/refer.worker.js'];
/** Only a configuration server issues certificates, only main threads speak to it. */
const foreign = ['@peculiar/x509', '@nestjs', 'typeorm', 'nats', 'pino'];

function packagesOf(worker: string): string[] {
  const program = `try { require(${JSON.stringify(resolve(root, worker))}) } catch (error) { if (error.code === 'MODULE_NOT_FOUND') throw error } console.log(JSON.stringify(Object.keys(require.cache)))`;
  const files = JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })) as string[];
  return [...new Set(files.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []))];
}

describe('the modules of a thread', () => {
  it.each(workers)('%s loads nothing that only a main thread needs', (worker) => {
    const packages = packagesOf(worker);
    expect(packages.length).toBeGreaterThan(0);
    expect(packages.filter((name) => foreign.some((prefix) => name.startsWith(prefix)))).toEqual([]);
  });
});
