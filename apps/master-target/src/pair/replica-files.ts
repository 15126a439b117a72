// SPDX-License-Identifier: Apache-2.0
import { BlockHasher, type BlockLayout, KeptChecksums } from '@secondsite/block-checksums';
import type { StorageDirectory, StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { ReplicaDamage } from './replica-damage';

export interface ReplicaFiles {
  readonly replica: StorageFile;
  /** Of the replica's blocks. */
  readonly checksums: KeptChecksums;
  readonly hasher: BlockHasher;
  readonly damage: ReplicaDamage;
}

export interface ReplicaFilesOptions {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  /** At least; a replica that has grown stays as it is. */
  readonly sizeBytes: ByteCount;
  readonly layout?: BlockLayout | undefined;
}

export const REPLICA = 'replica.img';
const CHECKSUMS = 'replica-blocks';

/** Opens or makes the replica, all zeros then, and what is known of its blocks; of a replica that is gone that means nothing. */
export async function openReplica({ directory, pairId, sizeBytes, layout }: ReplicaFilesOptions): Promise<ReplicaFiles> {
  const names = await directory.list();
  if (!names.includes(REPLICA)) for (const name of names.filter((other) => other.startsWith(`${CHECKSUMS}.`) || other === ReplicaDamage.fileName)) await directory.remove(name);
  const replica = await directory.open(REPLICA, { create: true });
  if (replica.size() < sizeBytes) await extend(replica, sizeBytes);
  await directory.sync();
  const checksums = await KeptChecksums.open({ directory, name: CHECKSUMS, pairId, volumeBytes: replica.size(), layout });
  const hasher = new BlockHasher(pairId, layout);
  return { replica, checksums, hasher, damage: await ReplicaDamage.open({ directory, replica, hasher }) };
}

/** Durable when it resolves. The new part reads as zeros, also at every instant before; the last block is another one now. */
export async function growReplica({ replica, checksums }: Pick<ReplicaFiles, 'replica' | 'checksums'>, sizeBytes: ByteCount): Promise<void> {
  const last = { offset: replica.size() - 1, length: 1 };
  for (let stale = checksums.changing(last); stale; stale = checksums.changing(last)) await stale;
  await extend(replica, sizeBytes);
}

async function extend(replica: StorageFile, sizeBytes: ByteCount): Promise<void> {
  await replica.truncate(sizeBytes);
  await replica.sync();
}
