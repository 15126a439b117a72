// SPDX-License-Identifier: Apache-2.0
// Process server and master target in one object: keeps what is PUT, applies it strictly in order to a byte array, and answers only when
// the test lets it. Refuses what a real one refuses. A question about the replica is looked at in one step of the test and answered in
// a later one, with whatever happened in between.
import { BlockHasher, BlockLayout, CHECKSUM_BYTES, CHUNK_BYTES, chunkCountOf, decodeQuestion, encodeAnswer } from '@secondsite/block-checksums';
import { decodeMarker, bytesOf, type StreamMarker, type VerifiedChangeSet, verifyContent, verifyStored } from '@secondsite/change-set';
import { applyToImage } from '@secondsite/change-set/testing';
import { type CompareAnswer, type CompareOptions, type DamagedRange, OLD_EPOCH, type PositionAnswer, type PutOptions, type PutOutcome, REPLICA_LACKS_BASE } from '@secondsite/transport';
import { OperationError } from '@secondsite/units';
import { zstdDecompressSync } from 'node:zlib';
import type { ChangeSetSender } from '../volume/change-set-shipper';

export type TargetBehaviour = 'normal' | 'unreachable' | 'held-off';

interface PendingPut {
  readonly kind: 'put';
  readonly set: VerifiedChangeSet;
  readonly answer: (outcome: PutOutcome) => void;
}

interface PendingQuestion {
  readonly kind: 'question';
  readonly look: () => CompareAnswer;
  /** What was seen, before it is told. */
  seen: CompareAnswer | undefined;
  readonly answer: (outcome: CompareAnswer) => void;
}

/** Called after each set is applied. `green`: the replica is now the source at the set's cut. */
export type AppliedListener = (applied: { readonly set: VerifiedChangeSet; readonly replica: Uint8Array; readonly green: boolean }) => void;

export class FakeTarget implements ChangeSetSender {
  behaviour: TargetBehaviour = 'normal';
  creditBytes = 64 * 1024 * 1024;
  /** Told with every answer until it is written. */
  damaged: readonly DamagedRange[] = [];
  /** Refuses one set like this. */
  refuseNext: { readonly code: string; readonly detail: string } | undefined;
  /** Answers come at once instead of when `answer` is called. */
  immediate = false;
  /** As big as the source, also when that grows. */
  replica: Uint8Array;
  readonly markers: StreamMarker[] = [];
  readonly bookmarkTimes: number[] = [];
  /** Every 8-byte write to offset 0, with its time: a counter that a test keeps there. */
  readonly #stamps: { readonly time: number; readonly stamp: number }[] = [];
  epoch = 0;
  applied = 0;
  green = false;
  lastTime = 0;
  /** Content that was read for a resynchronisation and applied, and the length of its holes. */
  resyncBytes = 0;
  /** Questions that were answered. */
  questions = 0;
  readonly #onApplied: AppliedListener;
  /** Where the stream stood before this epoch. */
  #before = { epoch: 0, sequence: 0 };
  /** Nothing of epochs up to this one is taken any more. */
  #endedEpoch = 0;
  #pending: (PendingPut | PendingQuestion)[] = [];
  #stored = new Map<number, VerifiedChangeSet>();

  constructor(options: { readonly volumeBytes: number; readonly onApplied?: AppliedListener }) {
    this.replica = new Uint8Array(options.volumeBytes).fill(0xaa);
    this.#onApplied = options.onApplied ?? (() => undefined);
  }

  get pendingPuts(): number {
    return this.#pending.length;
  }

  put(parts: readonly Uint8Array[], { epoch, sequence, signal }: PutOptions): Promise<PutOutcome> {
    const set = verified(Buffer.concat(parts));
    if (!set.ok) throw new Error(`the agent sent bytes that are no change set: ${set.detail}`);
    if (set.header.epoch !== epoch || set.header.sequence !== sequence) throw new Error('header and address differ');
    return new Promise((resolve) => {
      this.#await({ kind: 'put', set, answer: resolve });
      signal?.addEventListener('abort', () => resolve(unreachable()), { once: true });
    });
  }

  compare(question: Uint8Array, { pairId, epoch, sequence, signal }: CompareOptions): Promise<CompareAnswer> {
    return new Promise((resolve) => {
      this.#await({ kind: 'question', look: () => this.#look(question, { pairId, epoch, sequence }), seen: undefined, answer: resolve });
      signal?.addEventListener('abort', () => resolve(unreachable()), { once: true });
    });
  }

  #await(pending: PendingPut | PendingQuestion): void {
    this.#pending.push(pending);
    if (!this.immediate) return;
    queueMicrotask(() => {
      while (this.#pending.includes(pending)) this.answer(this.#pending.indexOf(pending));
    });
  }

  #look(bytes: Uint8Array, { pairId, epoch, sequence }: CompareOptions): CompareAnswer {
    const question = decodeQuestion(bytes);
    if (epoch !== this.epoch || sequence > this.applied) return { kind: 'held-off', retryAfterMillis: 20, code: 'comparison/not-applied', detail: 'test' };
    if (!question || question.volumeBytes !== this.replica.byteLength) throw new Error('the agent asked what is no question');
    this.questions += 1;
    const hasher = new BlockHasher(pairId);
    const chunks = Array.from({ length: chunkCountOf(question) }, (_, index) => {
      const offset = question.offset + index * CHUNK_BYTES;
      const checksums = hasher.checksumsOf(this.replica.subarray(offset, offset + BlockLayout.standard.chunkBytesAt(offset, question.volumeBytes)));
      const same = hasher.digestOf(checksums).equals(question.digests.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES));
      return same ? undefined : checksums;
    });
    return { kind: 'compared', answer: encodeAnswer(bytes, { readBlocks: 0, chunks }) };
  }

  async position(_pairId?: string): Promise<PositionAnswer> {
    if (this.behaviour === 'unreachable') return unreachable();
    return { kind: 'known', epoch: this.epoch, sequence: this.applied, ...this.#progress() };
  }

  close(): void {
    this.forget();
  }

  /** Requests on their way are lost (the agent died). Each may still arrive before that: the test calls `answer` first if so. */
  forget(): void {
    this.#pending = [];
  }

  /** The counter at offset 0 as of a time. */
  stampAt(time: number): number {
    return this.#stamps.findLast((stamp) => stamp.time <= time)?.stamp ?? 0;
  }

  /** The target's disk is another one now, of which nothing is known. */
  loseReplica(): void {
    this.replica.fill(0x55);
    [this.#endedEpoch, this.epoch, this.applied, this.green, this.#before] = [Math.max(this.epoch, this.#endedEpoch), 0, 0, false, { epoch: 0, sequence: 0 }];
    this.#stored.clear();
  }

  /** Handles one of the waiting requests. */
  answer(index = 0): void {
    const pending = this.#pending[index];
    if (pending?.kind === 'question' && !pending.seen && this.behaviour === 'normal') return void (pending.seen = pending.look());
    this.#pending.splice(index, 1);
    if (!pending) return;
    if (pending.kind === 'question') return pending.answer(pending.seen ?? unreachable());
    if (this.behaviour === 'unreachable') return pending.answer(unreachable());
    if (this.behaviour === 'held-off') return pending.answer({ kind: 'held-off', retryAfterMillis: 50, code: 'change-set/flow-controlled', detail: 'test' });
    const { epoch } = pending.set.header;
    if (epoch < this.epoch || epoch <= this.#endedEpoch) return pending.answer({ kind: 'refused', code: OLD_EPOCH, detail: '', hint: '', status: 409 });
    const refusal = this.refuseNext;
    this.refuseNext = undefined;
    if (refusal) return pending.answer({ kind: 'refused', ...refusal, hint: '', status: 409 });
    if (this.#lacksBase(pending.set)) return pending.answer({ kind: 'refused', code: REPLICA_LACKS_BASE, detail: 'the replica was lost', hint: '', status: 409 });
    this.#store(pending.set);
    pending.answer({ kind: 'stored', ...this.#progress() });
  }

  #store(set: VerifiedChangeSet): void {
    const { epoch, sequence } = set.header;
    if (epoch > this.epoch) {
      this.#before = this.#heldBefore(epoch);
      this.epoch = epoch;
      this.applied = 0;
      this.green = false;
      this.#stored.clear();
    }
    if (sequence > this.applied) this.#stored.set(sequence, set);
    for (let next = this.#stored.get(this.applied + 1); next; next = this.#stored.get(this.applied + 1)) this.#apply(next);
  }

  #epochStart(set: VerifiedChangeSet): Extract<StreamMarker, { kind: 'epoch-started' }> | undefined {
    const [first] = set.entries();
    const marker = set.header.sequence === 1 && first?.kind === 'marker' ? decodeMarker(bytesOf(first, set.data)) : undefined;
    return marker?.kind === 'epoch-started' ? marker : undefined;
  }

  #growWith(set: VerifiedChangeSet): void {
    const volumeBytes = this.#epochStart(set)?.volumeBytes ?? 0;
    if (volumeBytes <= this.replica.length) return;
    const grown = new Uint8Array(volumeBytes).fill(0xaa);
    grown.set(this.replica);
    this.replica = grown;
  }

  #lacksBase(set: VerifiedChangeSet): boolean {
    const { epoch } = set.header;
    const marker = this.#epochStart(set);
    if (!marker?.base) return false;
    const before = this.#heldBefore(epoch);
    return before.epoch < marker.base.epoch || (before.epoch === marker.base.epoch && before.sequence < marker.base.sequence);
  }

  /** An epoch of which the first set is missing has brought nothing. */
  #heldBefore(epoch: number): { readonly epoch: number; readonly sequence: number } {
    return epoch > this.epoch && this.applied > 0 ? { epoch: this.epoch, sequence: this.applied } : this.#before;
  }

  #apply(set: VerifiedChangeSet): void {
    this.applied = set.header.sequence;
    this.#stored.delete(this.applied);
    if (set.header.firstTime < this.lastTime) throw new Error(`time went back from ${this.lastTime} to ${set.header.firstTime}`);
    this.lastTime = set.header.lastTime;
    this.#growWith(set);
    applyToImage(this.replica, set);
    for (const entry of set.entries()) {
      this.damaged = this.damaged.flatMap((range) => without(range, entry));
      if (entry.kind === 'write' && entry.offset === 0 && entry.length === 8) {
        this.#stamps.push({ time: entry.time, stamp: Number(Buffer.from(bytesOf(entry, set.data)).readBigUInt64LE()) });
      }
      if (entry.kind === 'resync-write' || entry.kind === 'resync-zero') this.resyncBytes += entry.length;
      if (entry.kind === 'marker') this.#note(decodeMarker(bytesOf(entry, set.data)) as StreamMarker, { time: entry.time, first: entry === set.entries()[0] });
    }
    this.#onApplied({ set, replica: this.replica, green: this.green });
  }

  #note(marker: StreamMarker, { time, first }: { readonly time: number; readonly first: boolean }): void {
    if ((this.applied === 1 && first) !== (marker.kind === 'epoch-started')) throw new Error('an epoch starts with its marker, and only so');
    this.markers.push(marker);
    if (marker.kind === 'epoch-started') this.green = marker.reason === 'none';
    if (marker.kind === 'resync-started') this.green = false;
    if (marker.kind === 'resync-read') this.green = true;
    if (marker.kind === 'bookmark') this.bookmarkTimes.push(time);
  }

  #progress() {
    return { appliedEpoch: this.epoch, appliedSequence: this.applied, creditBytes: this.creditBytes, ...(this.damaged.length > 0 && { damaged: this.damaged }) };
  }
}

function without({ offset, length }: DamagedRange, written: DamagedRange): DamagedRange[] {
  const [end, writtenEnd] = [offset + length, written.offset + written.length];
  const before = { offset, length: Math.min(end, written.offset) - offset };
  const behind = { offset: Math.max(offset, writtenEnd), length: end - Math.max(offset, writtenEnd) };
  return [before, behind].filter((rest) => rest.length > 0);
}

function unreachable(): { readonly kind: 'unreachable'; readonly cause: Error } {
  const cause = new OperationError({ code: 'transport/unreachable', operation: 'send', retryable: true, hint: 'This failure is simulated.' });
  return { kind: 'unreachable', cause };
}

function verified(bytes: Uint8Array): ReturnType<typeof verifyContent> {
  const stored = verifyStored(bytes);
  if (!stored.ok) return stored;
  return verifyContent(stored, stored.header.compression === 'zstd' ? zstdDecompressSync(stored.stored) : stored.stored);
}
