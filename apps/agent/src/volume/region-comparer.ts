// SPDX-License-Identifier: Apache-2.0
// Asks the target, through the process server, which blocks of a run of regions differ at the replica (fast resync, ADR 15). Invariant: the
// replica is looked at only with the marker applied that began the resync, from which on the stream holds every change of the source. So a byte
// that was the same stays the same: either nothing in the stream touches it, or the last entry that does makes it the same on both sides.
// Nothing here has a timer: `pump` is called every few milliseconds.
import {
  type Answer, BlockHasher, BlockLayout, CHECKSUM_BYTES, ChecksummedContent, chunkCountOf, CHUNKS_MAX, CHUNKS_MAX_FIRST, decodeAnswer, decodeQuestion, encodeQuestion, type KeptChecksums,
} from '@secondsite/block-checksums';
import { type CompareAnswer, type CompareOptions, endsEpoch } from '@secondsite/transport';
import type { ByteCount, ByteOffset, SequenceNumber } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import { Backoff } from './backoff';
import type { StreamPosition } from './region-sweeper';
import type { ResyncActivity } from './resync-activity';
import type { Outcome } from './pair-faults';
import type { ResyncSource } from './resync-source';

export interface RegionComparerOptions {
  readonly pairId: string;
  readonly volumeBytes: ByteCount;
  readonly source: ResyncSource;
  /** Checksums of the source that need not be computed again; owned from here on. */
  readonly checksums?: KeptChecksums | undefined;
  readonly layout?: BlockLayout | undefined;
  /** Of making them durable, which is tried again when it failed. */
  readonly outcome: Outcome;
  readonly compare: (question: Uint8Array, options: CompareOptions) => Promise<CompareAnswer>;
  /** Monotonic. */
  readonly millis: () => number;
  /** Where the stream is; undefined between two epochs. */
  readonly position: () => StreamPosition | undefined;
}

/** `refused`: the target will never answer, e.g. because it is older than the question. */
export type Verdict = { readonly kind: 'compared'; readonly different: readonly ByteRange[] } | { readonly kind: 'refused' } | { readonly kind: 'dropped' };

const dropped: Verdict = { kind: 'dropped' };
/** A target that has not applied what the question names yet is soon asked again. */
const RETRY = { firstMillis: 20, longestMillis: 1000 };
/** Of an epoch that ends, besides those of `endsEpoch`, or a pair that is not there yet: the shipper hears the same. */
const passing = new Set(['change-set/stream-broken', 'change-set/unknown-pair']);
/** Compared at once while much of it has to be read; longer runs as long as both sides know nearly all checksums. */
const RUN_CHUNKS = 64;
/** So much of a longer run, at most, is read: about as much as of a short one. */
const READ_PART_MAX = 1 / 8;
const FLUSH_MILLIS = 2000;

export class RegionComparer {
  readonly layout: BlockLayout;
  readonly #options: RegionComparerOptions;
  readonly #hasher: BlockHasher;
  readonly #backoff: Backoff;
  readonly #content: ChecksummedContent;
  #waiting: { readonly isOver: () => boolean; readonly resolve: () => void }[] = [];
  #abort = new AbortController();
  #marker: SequenceNumber = 0;
  #runChunks = RUN_CHUNKS;
  #runChunksMax = CHUNKS_MAX;
  #flushedMillis: number;

  constructor(options: RegionComparerOptions) {
    this.#options = options;
    this.layout = options.layout ?? BlockLayout.standard;
    this.#hasher = new BlockHasher(options.pairId, this.layout);
    this.#content = new ChecksummedContent({ hasher: this.#hasher, kept: options.checksums, read: (into, offset) => options.source.read(into, offset) });
    this.#flushedMillis = options.millis();
    this.#backoff = new Backoff(options.millis, RETRY);
  }

  /** Bytes that should be compared at once. */
  get runBytes(): ByteCount {
    return this.#runChunks * this.layout.chunkBytes;
  }

  /** False: a region has more than fits into a question. */
  canCompare(regionBytes: ByteCount): boolean {
    const { chunkBytes } = this.layout;
    return regionBytes % chunkBytes === 0 && regionBytes <= CHUNKS_MAX_FIRST * chunkBytes;
  }

  /** Questions are about the replica after this set of the epoch, which holds the marker that began the resync. */
  start(marker: SequenceNumber): void {
    this.#marker = marker;
    this.#runChunks = RUN_CHUNKS;
  }

  /** Lets those go on that waited, and makes kept checksums durable now and then. */
  pump(): void {
    this.#flush();
    const over = this.#waiting.filter(({ isOver }) => isOver());
    this.#waiting = this.#waiting.filter((waiter) => !over.includes(waiter));
    for (const { resolve } of over) resolve();
  }

  /** Gives up what was asked; the comparisons have to be dropped before. */
  stop(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#backoff.reset();
    this.pump();
  }

  /** Nothing is compared any more and the source is not written. */
  async close(): Promise<void> {
    const { checksums, source } = this.#options;
    await checksums?.close(() => source.sync());
  }

  /**
   * Reads the run, asks, and says which of its blocks the target may lack; the others are the same at the end of the stream, as it is then
   * and later. Rejects when the source cannot be read.
   */
  async compare(run: ResyncActivity): Promise<Verdict> {
    const chunks: Buffer[] = [];
    let readBlocks = 0;
    for await (const chunk of this.#content.chunksOf(run)) {
      if (run.dropped) return dropped;
      chunks.push(chunk.checksums);
      readBlocks += chunk.readBlocks;
    }
    const digests = Buffer.concat(chunks.map((chunk) => this.#hasher.digestOf(chunk)));
    const answer = await this.#ask(run, encodeQuestion({ offset: run.offset, volumeBytes: this.#options.volumeBytes, digests }));
    if (answer === 'refused' || answer === 'dropped') return { kind: answer };
    const isKnown = readBlocks + answer.readBlocks <= READ_PART_MAX * this.layout.blockCountOf(run.length);
    this.#runChunks = isKnown ? Math.min(2 * this.#runChunks, this.#runChunksMax) : RUN_CHUNKS;
    return { kind: 'compared', different: differentBlocks(run, { ours: chunks, theirs: answer, layout: this.layout }) };
  }

  /** Until there is an answer, for as long as the comparison is wanted. */
  async #ask(run: ResyncActivity, question: Buffer): Promise<Answer | 'refused' | 'dropped'> {
    const { compare, pairId, position } = this.#options;
    const { signal } = this.#abort;
    while (!run.dropped) {
      const at = position();
      if (!at || !this.#backoff.isOver) {
        await this.#until(() => run.dropped || (this.#backoff.isOver && position() !== undefined));
        continue;
      }
      const outcome = await compare(question, { pairId, epoch: at.epoch, sequence: this.#marker, signal });
      if (outcome.kind === 'refused' && !endsEpoch(outcome.code) && !passing.has(outcome.code)) return this.#isTooLong(question, outcome.code) ? 'dropped' : 'refused';
      const answer = outcome.kind === 'compared' ? decodeAnswer(outcome.answer, question, this.layout) : undefined;
      if (!answer) this.#backoff.fail();
      else if (!run.dropped) {
        this.#backoff.reset();
        return answer;
      }
    }
    return 'dropped';
  }

  /** An older target takes shorter questions only, and gets those from now on. */
  #isTooLong(question: Buffer, code: string): boolean {
    const chunks = decodeQuestion(question, this.layout);
    if (code !== 'comparison/malformed' || !chunks || chunkCountOf(chunks) <= CHUNKS_MAX_FIRST) return false;
    this.#runChunks = this.#runChunksMax = CHUNKS_MAX_FIRST;
    return true;
  }

  #flush(): void {
    const { checksums, outcome, millis, source } = this.#options;
    if (!checksums || millis() - this.#flushedMillis < FLUSH_MILLIS) return;
    this.#flushedMillis = millis();
    checksums.flush(() => source.sync()).then(outcome.worked, outcome.failed);
  }

  #until(isOver: () => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ isOver, resolve }));
  }
}

/** Blocks with other checksums, those in a row together. */
function differentBlocks(
  run: ByteRange, { ours, theirs, layout: { blockBytes, chunkBytes } }: { readonly ours: readonly Buffer[]; readonly theirs: Answer; readonly layout: BlockLayout },
): ByteRange[] {
  const different: { offset: ByteOffset; length: ByteCount }[] = [];
  const end = run.offset + run.length;
  for (const [chunk, checksums] of theirs.chunks.entries()) {
    if (!checksums) continue;
    const chunkOffset = run.offset + chunk * chunkBytes;
    for (let offset = chunkOffset, at = 0; offset < Math.min(chunkOffset + chunkBytes, end); offset += blockBytes, at += CHECKSUM_BYTES) {
      if ((ours[chunk] as Buffer).compare(checksums, at, at + CHECKSUM_BYTES, at, at + CHECKSUM_BYTES) === 0) continue;
      const last = different.at(-1);
      const length = Math.min(blockBytes, end - offset);
      if (last && last.offset + last.length === offset) last.length += length;
      else different.push({ offset, length });
    }
  }
  return different;
}
