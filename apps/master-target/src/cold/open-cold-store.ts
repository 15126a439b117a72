// SPDX-License-Identifier: Apache-2.0
import type { ColdStore } from '@secondsite/retention-journal';
import { compressZstd } from '@secondsite/zstd';
import { randomUUID } from 'node:crypto';
import type { PairColdOptions } from '../pair/pair-cold-storage';
import type { ColdStoreConfig } from './cold-config';

/** The S3 client takes time to load and memory, so only who uses a cold store loads it. Nothing is asked of the store yet. */
export async function openColdStore(config: ColdStoreConfig): Promise<ColdStore> {
  const { S3ColdStore } = await import('@secondsite/s3-cold-store');
  return new S3ColdStore(config);
}

/** The part of the store that is a pair's. */
export async function pairColdOptions(config: ColdStoreConfig, pairId: string): Promise<PairColdOptions> {
  const { policy, cacheBytesMax } = config;
  return { store: await openColdStore(config), folder: pairFolder(config, pairId), policy, cacheBytesMax, compress: compressZstd, newToken: randomUUID };
}

export function pairFolder({ folder }: ColdStoreConfig, pairId: string): string {
  return `${folder}/${pairId}`;
}
