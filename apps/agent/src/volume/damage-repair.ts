// SPDX-License-Identifier: Apache-2.0
// Puts what the source holds into the stream where the target says that its disk changed the replica. The target says so with every answer until
// the replica is right again, so nothing of it has to be remembered over restarts. Invariants: a range is marked in the bitmap before it stands in
// the stream (I1); what the application wrote between the start of a read and its place in the stream is left out.
import { type ByteCount, MIB, type SequenceNumber } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { ChangeStream } from './change-stream';
import type { Outcome } from './pair-faults';
import type { RegionLedger } from './region-ledger';
import { ActiveRead, touches, withoutWritten } from './resync-activity';
import type { ResyncSource } from './resync-source';

export interface DamageRepairOptions {
  readonly source: ResyncSource;
  readonly volumeBytes: ByteCount;
  /** As `MarkKeeper.admit`. */
  readonly admit: (range: ByteRange) => undefined | Promise<void>;
  readonly ledger: RegionLedger;
  readonly stream: ChangeStream;
  /** True when so much may be read now: memory is not short for the application's writes. */
  readonly mayRead: (bytes: ByteCount) => boolean;
  /** Of each piece; one that could not be read or marked is tried again. */
  readonly outcome: Outcome;
}

const PIECE_BYTES = MIB;

export class DamageRepair {
  readonly #options: DamageRepairOptions;
  /** What the target said last, in pieces. */
  #wanted: readonly ByteRange[] = [];
  /** Stands in the stream; the target cannot know yet. */
  #sent: { readonly range: ByteRange; readonly sequence: SequenceNumber }[] = [];
  #reading: ActiveRead | undefined;

  constructor(options: DamageRepairOptions) {
    this.#options = options;
  }

  /** With each answer: what is damaged, although the sets of this epoch up to `applied` are applied. */
  learn(damaged: readonly ByteRange[], applied: SequenceNumber): void {
    this.#sent = this.#sent.filter(({ sequence }) => sequence > applied);
    this.#wanted = damaged.flatMap((range) => [...piecesOf(range, this.#options.volumeBytes)]);
  }

  /** The application changes the range, and that stands in the stream. */
  overlap(range: ByteRange): void {
    if (this.#reading && touches(range, this.#reading)) this.#reading.wrote(range);
  }

  /** The stream ends or begins anew: what is asked for again is sent again. */
  stop(): void {
    if (this.#reading) this.#reading.dropped = true;
    this.#sent = [];
  }

  /** Begins with the next piece; called often while the pair captures. */
  pump(): void {
    if (this.#reading) return;
    const next = this.#wanted.find((range) => !this.#sent.some((sent) => covers(sent.range, range)));
    if (!next || !this.#options.mayRead(next.length)) return;
    const read = new ActiveRead(next);
    const { outcome } = this.#options;
    this.#reading = read;
    this.#repair(read)
      .then(outcome.worked, outcome.failed)
      .finally(() => (this.#reading = undefined));
  }

  async #repair(read: ActiveRead): Promise<void> {
    const { source, admit } = this.#options;
    const bytes = Buffer.alloc(read.length);
    await source.read(bytes, read.offset);
    for (let marking = admit(read); marking; marking = admit(read)) await marking;
    if (!read.dropped) this.#insert(read, bytes);
  }

  /** In one turn with the last look at the mark. Without memory it is tried again. */
  #insert(read: ActiveRead, bytes: Buffer): void {
    const { stream, ledger } = this.#options;
    for (const range of withoutWritten([read], read.written)) {
      if (!stream.makeRoom(range.length)) return;
      stream.appendBytes({ kind: 'resync-write', offset: range.offset }, [bytes.subarray(range.offset - read.offset, range.offset - read.offset + range.length)]);
      ledger.write(range, stream.openSequence);
    }
    this.#sent.push({ range: { offset: read.offset, length: read.length }, sequence: stream.openSequence });
  }
}

function* piecesOf({ offset, length }: ByteRange, volumeBytes: ByteCount): Generator<ByteRange> {
  const end = Math.min(offset + length, volumeBytes);
  for (let at = offset; at < end; at += PIECE_BYTES) yield { offset: at, length: Math.min(PIECE_BYTES, end - at) };
}

function covers(outer: ByteRange, inner: ByteRange): boolean {
  return outer.offset <= inner.offset && inner.offset + inner.length <= outer.offset + outer.length;
}
