// SPDX-License-Identifier: Apache-2.0
import { compressStored, decodeHeader, HEADER_BYTES } from '@secondsite/change-set';
import type { ChangeSetClient, PutOutcome } from '@secondsite/transport';
import { compressZstd } from '@secondsite/zstd';
import { ByteBudget } from '../byte-budget';
import type { SpooledSet } from '../spool/epoch-queue';
import type { PairSpool } from '../spool/pair-spool';
import type { StreamPlace } from '../spool/pair-state';

export type PairCompression = 'none' | 'process-server';

/** The parts of the transport client that forwarding needs. */
export type ForwardClient = Pick<ChangeSetClient, 'put' | 'position' | 'compare' | 'close'>;

export interface SendSetOptions {
  readonly spool: PairSpool;
  readonly client: ForwardClient;
  readonly pairId: string;
  /** Room for sets read back from disk, shared by all pairs. */
  readonly budget: ByteBudget;
  readonly compression: PairCompression;
  readonly signal: AbortSignal;
}

/** A set that is sent from memory. */
export interface PassingSet extends StreamPlace {
  readonly content: Uint8Array;
  readonly traceparent: string | undefined;
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
    const sent = await sendContent({ ...set, content }, options);
    // After anything else the connection may not have let go of the memory yet; it is left to the collector.
    if (sent.outcome.kind === 'stored') done();
    return sent;
  } finally {
    giveBack?.();
  }
}

/** The same for a set whose content is at hand. */
export async function sendContent(set: PassingSet, { client, pairId, compression, signal }: SendSetOptions): Promise<SentSet> {
  const { epoch, sequence, traceparent, content } = set;
  const parts = compression === 'process-server' ? await compressed(content) : [content];
  const outcome = await client.put(parts, { pairId, epoch, sequence, traceparent, signal });
  return { outcome, wireBytes: parts.reduce((sum, part) => sum + part.length, 0) };
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
