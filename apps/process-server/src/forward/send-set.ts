// SPDX-License-Identifier: Apache-2.0
import { type Compress, compressStored, decodeHeader, HEADER_BYTES } from '@secondsite/change-set';
import type { ChangeSetClient, LateTraceQueue, PutOutcome } from '@secondsite/transport';
import type { Transfer } from '@secondsite/traffic-shaping';
import type { ByteCount } from '@secondsite/units';
import { ByteBudget } from '../byte-budget';
import type { SpooledSet } from '../spool/epoch-queue';
import type { PairSpool } from '../spool/pair-spool';
import type { StreamPlace } from '../spool/pair-state';
import type { BodyTurn } from './traffic-shaper';

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
  /** Where the pair's way has a limit. */
  readonly turn?: BodyTurn;
  readonly compress: Compress;
  readonly lateTraces: LateTraceQueue;
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
  readonly wireBytes: ByteCount;
  /** What the set holds, uncompressed. */
  readonly contentBytes: ByteCount;
  /** From handing over to the wire until the outcome. */
  readonly transferMicros: number;
}

/** Compressing takes threads of the pool that syncs files as well; two at a time leave it room. */
const compressing = new ByteBudget(2);

/**
 * Reads, compresses if wanted, and sends one set. Undefined: while it waited for its turn the target said that it has it. Rejects only when
 * the set cannot be read from the spool.
 */
export async function sendSet(set: SpooledSet, options: SendSetOptions): Promise<SentSet | undefined> {
  const transfer = await options.turn?.(options.signal);
  const giveBack = set.memory ? undefined : await options.budget.take(set.bytes);
  try {
    const read = await options.spool.read(set);
    if (!read) return undefined;
    const { content, done } = read;
    const sent = await send({ ...set, content }, { ...options, transfer });
    // After anything else the connection may not have let go of the memory yet; it is left to the collector.
    if (sent.outcome.kind === 'stored') done();
    return sent;
  } finally {
    giveBack?.();
    transfer?.end();
  }
}

/** The same for a set whose content is at hand. */
export async function sendContent(set: PassingSet, options: SendSetOptions): Promise<SentSet> {
  const transfer = await options.turn?.(options.signal);
  try {
    return await send(set, { ...options, transfer });
  } finally {
    transfer?.end();
  }
}

/** Memory and processors are taken only in the set's turn: what waits for a busy link keeps nobody else from sending. */
async function send(set: PassingSet, { client, pairId, compression, compress, lateTraces, signal, transfer }: SendSetOptions & { readonly transfer: Transfer | undefined }): Promise<SentSet> {
  const { epoch, sequence, traceparent, content } = set;
  const parts = compression === 'process-server' ? await compressed(content, compress) : [content];
  const startedMillis = performance.now();
  const late = lateTraces.next();
  const outcome = await client.put(parts, { pairId, epoch, sequence, traceparent, lateTraces: late, signal, transfer });
  if (outcome.kind === 'stored') lateTraces.told(late);
  const transferMicros = Math.round((performance.now() - startedMillis) * 1000);
  const wireBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const decoded = decodeHeader(content);
  return { outcome, wireBytes, contentBytes: decoded.ok ? decoded.header.contentBytes : wireBytes, transferMicros };
}

/** The set as it travels: compressed if that makes it smaller and the source did not do it already. */
async function compressed(content: Uint8Array, compress: Compress): Promise<readonly Uint8Array[]> {
  const decoded = decodeHeader(content);
  if (!decoded.ok || decoded.header.compression !== 'none') return [content];
  const giveBack = await compressing.take(1);
  try {
    const smaller = await compressStored({ ...decoded, stored: content.subarray(HEADER_BYTES) }, compress);
    return smaller?.parts ?? [content];
  } finally {
    giveBack();
  }
}
