// SPDX-License-Identifier: Apache-2.0
import { type Compress, compressStored, decodeHeader, HEADER_BYTES } from '@secondsite/change-set';
import type { ChangeSetClient, LateTraceQueue, PutOutcome } from '@secondsite/transport';
import { type ReferredSet, type ReferringSet, sealReferringSet } from '@secondsite/wan-deduplication';
import type { Transfer } from '@secondsite/traffic-shaping';
import { recycleCompressed } from '@secondsite/zstd';
import type { ByteCount } from '@secondsite/units';
import type { ByteBudget } from '../byte-budget';
import { type PairDeduplicator, wantsWholeSet } from '../deduplication/pair-deduplicator';
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
  /** Undefined: the pair is not deduplicated. */
  readonly deduplicator?: PairDeduplicator | undefined;
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
  /** Bytes put on the wire, also those of references that the target could not resolve. */
  readonly wireBytes: ByteCount;
  /** What the set holds, uncompressed. */
  readonly contentBytes: ByteCount;
  /** What of it the target took from its own replicas. */
  readonly referencedBytes: ByteCount;
  /** From handing over to the wire until the outcome. */
  readonly transferMicros: number;
}

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
export function sendContent(set: PassingSet, options: SendSetOptions): Promise<SentSet> {
  return inTurn(options, (transfer) => send(set, { ...options, transfer }));
}

type InTurn = SendSetOptions & { readonly transfer: Transfer | undefined };

async function inTurn(options: SendSetOptions, run: (transfer: Transfer | undefined) => Promise<SentSet>): Promise<SentSet> {
  const transfer = await options.turn?.(options.signal);
  try {
    return await run(transfer);
  } finally {
    transfer?.end();
  }
}

/**
 * Memory and processors are taken only in the set's turn: what waits for a busy link keeps nobody else from sending. A set whose references the
 * target cannot resolve goes out again at once, in full and in a turn of its own.
 */
async function send(set: PassingSet, options: InTurn): Promise<SentSet> {
  const { deduplicator } = options;
  const referred = await deduplicator?.refer(set);
  if (!deduplicator || !referred?.referring) return stored(set, { referred, options, sent: await put(set, { options, parts: await wholeSet(set, options), referencedBytes: 0 }) });
  const { referring } = referred;
  const parts = sealReferringSet(referring, await compressedRest(referring, options));
  const sent = await put(set, { options, parts, referencedBytes: set.content.length - HEADER_BYTES - referring.rest.length });
  if (!wantsWholeSet(sent.outcome)) return stored(set, { referred, options, sent });
  deduplicator.unresolved(referring, sent.outcome);
  const again = await inTurn(options, async (transfer) => put(set, { options: { ...options, transfer }, parts: await wholeSet(set, options), referencedBytes: 0 }));
  const both = { wireBytes: sent.wireBytes + again.wireBytes, transferMicros: sent.transferMicros + again.transferMicros };
  return stored(set, { referred, options, sent: { ...again, ...both } });
}

function stored(set: PassingSet, { referred, options: { deduplicator }, sent }: { readonly referred: ReferredSet | undefined; readonly options: InTurn; readonly sent: SentSet }): SentSet {
  if (referred && sent.outcome.kind === 'stored') deduplicator?.stored(set, { referred, byReference: sent.referencedBytes > 0 });
  return sent;
}

interface Body {
  readonly options: InTurn;
  readonly parts: readonly Uint8Array[];
  readonly referencedBytes: ByteCount;
}

async function put(set: PassingSet, { options, parts, referencedBytes }: Body): Promise<SentSet> {
  const { client, pairId, lateTraces, signal, transfer } = options;
  const { epoch, sequence, traceparent, content } = set;
  const startedMillis = performance.now();
  const late = lateTraces.next();
  const outcome = await client.put(parts, { pairId, epoch, sequence, traceparent, lateTraces: late, signal, transfer });
  if (outcome.kind === 'stored') {
    lateTraces.told(late);
    parts.forEach(recycleCompressed);
  }
  const transferMicros = Math.round((performance.now() - startedMillis) * 1000);
  const wireBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const decoded = decodeHeader(content);
  return { outcome, wireBytes, referencedBytes, contentBytes: decoded.ok ? decoded.header.contentBytes : wireBytes, transferMicros };
}

async function wholeSet({ content }: PassingSet, { compression, compress }: SendSetOptions): Promise<readonly Uint8Array[]> {
  return compression === 'process-server' ? compressed(content, compress) : [content];
}

async function compressedRest({ rest }: ReferringSet, { compression, compress }: SendSetOptions): Promise<Uint8Array | undefined> {
  if (compression === 'none' || rest.byteLength === 0) return undefined;
  const smaller = await compress([rest]);
  return smaller && smaller.byteLength < rest.byteLength ? smaller : undefined;
}

/** The set as it travels: compressed if that makes it smaller and the source did not do it already. */
async function compressed(content: Uint8Array, compress: Compress): Promise<readonly Uint8Array[]> {
  const decoded = decodeHeader(content);
  if (!decoded.ok || decoded.header.compression !== 'none') return [content];
  const smaller = await compressStored({ ...decoded, stored: content.subarray(HEADER_BYTES) }, compress);
  return smaller?.parts ?? [content];
}
