// SPDX-License-Identifier: Apache-2.0
import { compressStored, decodeHeader, HEADER_BYTES } from '@secondsite/change-set';
import type { ChangeSetClient, PutOutcome } from '@secondsite/transport';
import { compressZstd } from '@secondsite/zstd';
import { ByteBudget } from '../byte-budget';
import type { SpooledSet } from '../spool/epoch-queue';
import type { PairSpool } from '../spool/pair-spool';

export type PairCompression = 'none' | 'process-server';

/** The parts of the transport client that forwarding needs. */
export type ForwardClient = Pick<ChangeSetClient, 'put' | 'position' | 'close'>;

export interface SendSetOptions {
  readonly spool: PairSpool;
  readonly client: ForwardClient;
  readonly pairId: string;
  /** Room for sets read back from disk, shared by all pairs. */
  readonly budget: ByteBudget;
  readonly compression: PairCompression;
  readonly signal: AbortSignal;
}

export interface SentSet {
  readonly outcome: PutOutcome;
  /** Bytes put on the wire. */
  readonly wireBytes: number;
}

/** Compressing takes threads of the pool that syncs files as well; two at a time leave it room. */
const compressing = new ByteBudget(2);

/** Reads, compresses if wanted, and sends one set. Rejects only when the set cannot be read from the spool. */
export async function sendSet(set: SpooledSet, options: SendSetOptions): Promise<SentSet> {
  const giveBack = set.memory ? undefined : await options.budget.take(set.bytes);
  try {
    const { content, done } = await options.spool.read(set);
    const parts = options.compression === 'process-server' ? await compressed(content) : [content];
    const { pairId, signal } = options;
    const outcome = await options.client.put(parts, { pairId, epoch: set.epoch, sequence: set.sequence, traceparent: set.traceparent, signal });
    // After anything else the connection may not have let go of the memory yet; it is left to the collector.
    if (outcome.kind === 'stored') done();
    return { outcome, wireBytes: parts.reduce((sum, part) => sum + part.length, 0) };
  } finally {
    giveBack?.();
  }
}

/** The set as it travels: compressed if that makes it smaller and the source did not do it already. */
async function compressed(content: Uint8Array): Promise<readonly Uint8Array[]> {
  const decoded = decodeHeader(content);
  if (!decoded.ok || decoded.header.compression !== 'none') return [content];
  const giveBack = await compressing.take(1);
  try {
    const smaller = await compressStored({ ...decoded, stored: content.subarray(HEADER_BYTES) }, compressZstd);
    return smaller?.parts ?? [content];
  } finally {
    giveBack();
  }
}
