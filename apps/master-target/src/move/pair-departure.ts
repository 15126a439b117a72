// SPDX-License-Identifier: Apache-2.0
// The pair's side of a move to another master target (ADR 21): says what has changed, gives out blocks and files, stands still at the end, and hands
// over. Invariants: a block is marked in the turn in which it is written, so no change is lost between two rounds; while the pair stands nothing of it
// changes; a pair that was handed over takes nothing until a desired state of that move or a later one says that it is at home here. Standing
// is not durable: a restart before the hand-over lets the pair go on, and its copy begins anew.
import { BlockHasher, BlockLayout, CHECKSUM_BYTES } from '@secondsite/block-checksums';
import { readBuffer, type StorageDirectory, type StorageFile } from '@secondsite/durable-storage';
import type { RetentionJournal } from '@secondsite/retention-journal';
import type { CopyOutcome, HeldOff, Refusal } from '@secondsite/transport';
import type { ByteCount, TimeMicros } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import { randomUUID } from 'node:crypto';
import { type BlockRun, ChangedBlocks } from './changed-blocks';
import { describeFiles, folderOf, openIfThere } from './copied-files';
import { blockKinds, BLOCKS_MAX, COLD_SEGMENTS, COPIED_BLOCK_BYTES, type CopiedFile, type CopiedFolder, type CopyQuestion, copyQuestionSchema, type CopyRound, encodeBlocks, FILE_GONE, HANDED_OVER, OTHER_MOVE, UNKNOWN_COPY } from './copy-protocol';
import { ReplicaDamage } from '../pair/replica-damage';
import { type HandOverRecord, readHandOver, removeHandOver, writeHandOver } from './hand-over-record';

export interface PairDepartureParts {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  readonly replica: StorageFile;
  readonly journal: RetentionJournal;
  /** Of sets that are not applied. */
  readonly cachedBytes: () => ByteCount;
  readonly clock: () => TimeMicros;
  /** Ends applying and makes all durable, and closes cache and checksums; called once. */
  readonly standStill: () => Promise<void>;
  readonly handedOver: HandOverRecord | undefined;
}

interface CopyUnderWay {
  readonly copyId: string;
  /** Number of the move. */
  readonly placement: number;
  readonly changed: ChangedBlocks;
  /** Of the last round; the next one says that they have arrived. */
  handed: readonly BlockRun[];
  round: number;
}

const RUNS_MAX = 4096;
/** A pair that does not come to a stand in so long goes on: its disk hangs. */
const STAND_MICROS_MAX = 60e6;
/** A pair that stands and is asked nothing for so long goes on; a piece takes half a minute on the slowest link that can be set. */
const STANDS_MICROS_MAX = 120e6;
const RETRY_MILLIS = 200;

export class PairDeparture {
  readonly #parts: PairDepartureParts;
  readonly #hasher: BlockHasher;
  readonly #taking = new Set<Promise<unknown>>();
  #handedOver: HandOverRecord | undefined;
  #copy: CopyUnderWay | undefined;
  #standing: 'no' | 'begins' | 'stands' | 'hands-over' = 'no';
  #standsSince: TimeMicros = 0;
  #askedAt: TimeMicros = 0;
  #mustReopen = false;

  constructor(parts: PairDepartureParts) {
    this.#parts = parts;
    this.#hasher = new BlockHasher(parts.pairId, new BlockLayout(COPIED_BLOCK_BYTES));
    this.#handedOver = parts.handedOver;
  }

  /** What `PairDepartureParts.handedOver` is for a pair that opens. `placement`: of the desired state; the pair may be at home here again. */
  static async recorded(directory: StorageDirectory, placement: number): Promise<HandOverRecord | undefined> {
    const record = await readHandOver(directory);
    if (!record || record.placement > placement) return record;
    await removeHandOver(directory);
    return undefined;
  }

  /** Nothing is taken. */
  get stands(): boolean {
    return this.#handedOver !== undefined || this.#standing !== 'no';
  }

  /** A copy of it was begun, whatever became of that since. */
  get isCopied(): boolean {
    return this.#copy !== undefined;
  }

  /** The pair has to be opened anew to go on. */
  get mustReopen(): boolean {
    return this.#mustReopen || this.#hasLapsed;
  }

  /** The process server is held off meanwhile, so whatever the reason is, standing does not last. */
  get #hasLapsed(): boolean {
    if (this.#standing === 'begins') return this.#parts.clock() - this.#standsSince > STAND_MICROS_MAX;
    return this.#standing === 'stands' && this.#handedOver === undefined && this.#parts.clock() - this.#askedAt > STANDS_MICROS_MAX;
  }

  /** A desired state says that the pair is at home here, after so many moves: one of them that goes on here was cancelled. */
  atHome(placement: number): void {
    const move = this.#handedOver ?? this.#copy;
    if (!move || move.placement > placement) return;
    this.#mustReopen = this.stands;
    this.#copy = undefined;
  }

  /** Runs what takes a set, unless the pair stands; standing still waits for it. */
  async admit<Outcome>(take: () => Promise<Outcome>): Promise<Outcome | HeldOff> {
    if (this.stands) return heldOff('pair/moving', 'the pair moves to another master target');
    const taking = take();
    this.#taking.add(taking);
    try {
      return await taking;
    } finally {
      this.#taking.delete(taking);
    }
  }

  /** Call it in the turn in which the replica is written. */
  written(set: { entries(): readonly ByteRange[] }): void {
    if (this.#copy) for (const entry of set.entries()) this.#copy.changed.mark(entry);
  }

  /** `bytes`: a question, unchecked. `placement`: number of the move that the desired state names. Rejects with the storage's OperationError. */
  async answer(bytes: Uint8Array, placement: number): Promise<CopyOutcome> {
    const question = parseQuestion(bytes);
    if (!question) return malformed();
    if (question.placement !== placement) return refused(OTHER_MOVE, `the desired state names move ${placement}, not ${question.placement}`);
    // A copy that has lapsed is not revived: the pair may be on its way to go on.
    this.#mustReopen = this.mustReopen;
    this.#askedAt = this.#parts.clock();
    if (question.ask === 'hand-over') return this.#handOver(question);
    if (this.#handedOver) return refused(HANDED_OVER, 'the pair was handed over and its copy does not say so: cancel the move');
    if (question.ask === 'begin') return this.#begin(placement);
    const copy = this.#copy;
    if (!copy || copy.copyId !== question.copyId || this.#mustReopen) return unknownCopy();
    switch (question.ask) {
      case 'round':
        return this.#round(copy, question.round);
      case 'blocks':
        return this.#blocks(question);
      case 'file':
        return this.#piece(question);
      case 'stand':
        this.#stand();
        return json({});
    }
  }

  #begin(placement: number): CopyOutcome {
    if (this.#standing !== 'no') {
      this.#mustReopen = true;
      return heldOff('copy/reopening', 'the pair goes on first');
    }
    if (this.#isInColdStore) return this.#refuseCold();
    const { blockBytes } = this.#hasher.layout;
    const changed = new ChangedBlocks(blockBytes);
    changed.markData(this.#parts.replica);
    this.#copy = { copyId: randomUUID(), placement, changed, handed: [], round: 0 };
    return json({ copyId: this.#copy.copyId, blockBytes });
  }

  async #round(copy: CopyUnderWay, round: number): Promise<CopyOutcome> {
    if (this.#isInColdStore) return this.#refuseCold();
    if (round !== copy.round && round !== copy.round + 1) return unknownCopy();
    const stands = this.#standing === 'stands';
    // A repeated question, perhaps a late one, is answered as before: the answer may have been lost, and nothing may go with this one.
    if (round > copy.round) [copy.round, copy.handed] = [round, copy.changed.take({ runsMax: RUNS_MAX })];
    const { handed: changed, changed: { size: leftBlocks } } = copy;
    const answer: CopyRound = { stands, sizeBytes: this.#parts.replica.size(), changed: [...changed], leftBlocks, files: await this.#files(stands), unsealedBytes: stands ? 0 : this.#unsealedBytes };
    return json(answer);
  }

  /** A segment may have been on its way there when the copy began. */
  get #isInColdStore(): boolean {
    return this.#parts.journal.coldBytes > 0;
  }

  #refuseCold(): CopyOutcome {
    this.#copy = undefined;
    const hint = 'Shorten the window of its plan until nothing of it is in the cold store (secondsite plan status); or cancel the move.';
    return { kind: 'refused', code: COLD_SEGMENTS, detail: 'a part of its undo is in the cold store of its master target, which no other one reads', hint };
  }

  get #unsealedBytes(): ByteCount {
    const { cachedBytes, journal } = this.#parts;
    return journal.storedFiles().reduce((sum, { sealed, bytes }) => (sealed ? sum : sum + bytes), cachedBytes());
  }

  /** Those that never change, and once the pair stands all. */
  async #files(stands: boolean): Promise<CopiedFile[]> {
    const { directory, journal } = this.#parts;
    const stored = journal.storedFiles();
    const sealed = stored.flatMap((file) => (file.sealed ? file.names : []));
    const open = stored.flatMap((file) => (file.sealed ? [] : file.names));
    const namesIn = async (folder: CopiedFolder): Promise<string[]> => (await folderOf(directory, folder)).list();
    const always = [{ folder: 'journal', names: sealed, isFinal: true }, { folder: 'quarantine', names: await namesIn('quarantine'), isFinal: true }] as const;
    const atLast = [{ folder: 'journal', names: open }, { folder: 'cache', names: await namesIn('cache') }, { folder: '', names: ['checkpoint', ReplicaDamage.fileName] }] as const;

    const described = await Promise.all([...always, ...(stands ? atLast : [])].map((some) => describeFiles(directory, some)));
    return described.flat();
  }

  async #blocks({ runs, checksums }: Extract<CopyQuestion, { ask: 'blocks' }>): Promise<CopyOutcome> {
    const asked = Buffer.from(checksums, 'base64');
    const count = runs.reduce((sum, [, blocks]) => sum + blocks, 0);
    if (count > BLOCKS_MAX || asked.length !== count * CHECKSUM_BYTES) return malformed();
    const [kinds, contents]: [number[], Uint8Array[]] = [[], []];
    for (const run of runs) {
      for (const { checksum, content, zeros } of await this.#contentsOf(run)) {
        const isSame = checksum.equals(asked.subarray(kinds.length * CHECKSUM_BYTES, (kinds.length + 1) * CHECKSUM_BYTES));
        const kind = isSame ? blockKinds.same : checksum.equals(zeros) ? blockKinds.zeros : blockKinds.data;
        kinds.push(kind);
        if (kind === blockKinds.data) contents.push(content);
      }
    }
    return { kind: 'copied', answer: encodeBlocks(Uint8Array.from(kinds), contents) };
  }

  /** The blocks of a run, with their checksums and those that zeros would have. */
  async #contentsOf([first, count]: BlockRun): Promise<{ readonly content: Uint8Array; readonly checksum: Buffer; readonly zeros: Buffer }[]> {
    const { blockBytes } = this.#hasher.layout;
    const bytes = readBuffer(count * blockBytes);
    const read = bytes.subarray(0, await this.#parts.replica.read(bytes, first * blockBytes));
    const own = this.#hasher.checksumsOf(read);
    return Array.from({ length: own.length / CHECKSUM_BYTES }, (_, index) => {
      const content = read.subarray(index * blockBytes, (index + 1) * blockBytes);
      return { content, checksum: own.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES), zeros: this.#hasher.checksumsOfZeros(content.length) };
    });
  }

  async #piece({ folder, name, offset, length }: Extract<CopyQuestion, { ask: 'file' }>): Promise<CopyOutcome> {
    const file = await openIfThere(await folderOf(this.#parts.directory, folder), name);
    if (!file) return refused(FILE_GONE, `${name} was merged or dropped meanwhile`);
    try {
      const bytes = new Uint8Array(length);
      return { kind: 'copied', answer: bytes.subarray(0, await file.read(bytes, offset)) };
    } finally {
      await file.close();
    }
  }

  #stand(): void {
    if (this.#standing !== 'no') return;
    [this.#standing, this.#standsSince] = ['begins', this.#parts.clock()];
    this.#parts.standStill().then(
      () => (this.#standing = 'stands'),
      () => (this.#mustReopen = true),
    );
  }

  /** Waits until no set is being taken any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#taking);
  }

  async #handOver({ copyId, placement }: Extract<CopyQuestion, { ask: 'hand-over' }>): Promise<CopyOutcome> {
    if (this.#handedOver?.copyId === copyId) return json({});
    if (this.#standing !== 'stands' || this.#copy?.copyId !== copyId || this.mustReopen) return unknownCopy();
    this.#standing = 'hands-over';
    const record = { copyId, placement };
    try {
      await writeHandOver(this.#parts.directory, record);
    } catch (error) {
      // Only opening the pair anew tells what is on the disk.
      this.#mustReopen = true;
      throw error;
    }
    this.#handedOver = record;
    return json({});
  }
}

function parseQuestion(bytes: Uint8Array): CopyQuestion | undefined {
  try {
    return copyQuestionSchema.parse(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')));
  } catch {
    return undefined;
  }
}

function json(value: object): CopyOutcome {
  return { kind: 'copied', answer: Buffer.from(JSON.stringify(value)) };
}

function unknownCopy(): Refusal {
  return refused(UNKNOWN_COPY, 'no such copy is under way here');
}

function malformed(): Refusal {
  return refused('copy/malformed', 'the question is damaged or of another version');
}

function refused(code: string, detail: string): Refusal {
  return { kind: 'refused', code, detail, hint: 'The other master target begins a copy anew by itself.' };
}

function heldOff(code: string, detail: string): HeldOff {
  return { kind: 'held-off', code, detail, retryAfterMillis: RETRY_MILLIS };
}
