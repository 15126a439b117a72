// SPDX-License-Identifier: Apache-2.0
// Copies a pair from the master target that has it, in rounds while that goes on applying, then with the pair standing still (ADR 21). Invariants: what
// is handed over is byte for byte the pair as it stood; it is durable here before it is handed over; whatever fails, the copy goes on or begins anew,
// and blocks that are here already do not come again.
import { BlockHasher, BlockLayout } from '@secondsite/block-checksums';
import type { PairArrivalTelemetry } from '@secondsite/contracts';
import { readBuffer, type StorageDirectory, type StorageFile } from '@secondsite/durable-storage';
import type { CopyAnswer } from '@secondsite/transport';
import { type ByteCount, isOperationError, MIB, OperationError, type TimeMicros } from '@secondsite/units';
import type { z } from 'zod';
import { readArrival, writeArrival } from './arrival-record';
import { type BlockRun, ChangedBlocks } from './changed-blocks';
import { FileCopier } from './file-copier';
import { type Asked, begunSchema, blockKinds, BLOCKS_MAX, type CopyRound, FILE_GONE, HANDED_OVER, OTHER_MOVE, roundSchema, UNKNOWN_COPY } from './copy-protocol';

export interface PairArrivalParts {
  readonly directory: StorageDirectory;
  readonly pairId: string;
  /** Number of the move. */
  readonly placement: number;
  /** Asks the other master target. */
  readonly ask: (question: Uint8Array) => Promise<CopyAnswer>;
  readonly clock: () => TimeMicros;
  /** Resolves after about so many milliseconds, earlier when the signal is aborted. */
  readonly delay: (millis: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** What is left to copy may hold the pair up for about as long as this takes. */
const STAND_BYTES_MAX = 32 * MIB;
/** A round with more than this part of the one before does not get nearer: the volume is written as fast as it is copied. */
const SLOW_PART = 0.75;
const QUESTIONS_AT_ONCE = 3;
const [RETRY_MILLIS_MIN, RETRY_MILLIS_MAX, STAND_LOOK_MILLIS] = [100, 5000, 25];
/** Refusals that pass by themselves: the desired state has not reached the other target. */
const passing: readonly string[] = ['copy/not-allowed', OTHER_MOVE, 'change-set/unknown-pair'];

class Stopped extends Error {}

export class PairArrival {
  readonly #parts: PairArrivalParts;
  #state: PairArrivalTelemetry['state'] = 'copying';
  #copyId = '';
  #beganAt: TimeMicros = 0;
  #copiedBytes: ByteCount = 0;
  #totalBytes: ByteCount = 0;
  #fault: PairArrivalTelemetry['fault'];

  constructor(parts: PairArrivalParts) {
    this.#parts = parts;
  }

  /** Resolves when the pair is complete here, or the signal is aborted and nothing is written any more. Rejects only with bugs. */
  async run(): Promise<void> {
    for (let failures = 0; !this.#parts.signal.aborted; failures++) {
      try {
        return await this.#arrive();
      } catch (error) {
        if (error instanceof Stopped || this.#parts.signal.aborted) return;
        if (!isOperationError(error)) throw error;
        this.#state = 'copying';
        if (error.code !== UNKNOWN_COPY) this.#fault = { code: error.code, hint: error.hint };
        await this.#parts.delay(Math.min(RETRY_MILLIS_MAX, RETRY_MILLIS_MIN * 2 ** Math.min(10, failures)));
      }
    }
  }

  telemetry(): PairArrivalTelemetry {
    const { pairId, placement, clock } = this.#parts;
    const [copiedBytes, totalBytes] = [this.#copiedBytes, Math.max(this.#copiedBytes, this.#totalBytes)];
    const seconds = (clock() - this.#beganAt) / 1e6;
    const finishSeconds = this.#state === 'copying' && copiedBytes > 0 && seconds > 1 ? Math.ceil(((totalBytes - copiedBytes) * seconds) / copiedBytes) : undefined;
    return { pairId, placement, state: this.#state, copiedBytes, totalBytes, ...(finishSeconds !== undefined && { finishSeconds }), ...(this.#fault && { fault: this.#fault }) };
  }

  async #arrive(): Promise<void> {
    const { directory, placement } = this.#parts;
    let record = await readArrival(directory);
    if (record?.placement !== placement) record = undefined;
    if (record === undefined || record.state === 'copying') {
      await writeArrival(directory, { state: 'copying', placement });
      await this.#copyAll();
      record = { state: 'copied', placement, copyId: this.#copyId };
      await writeArrival(directory, record);
    }
    if (record.state === 'copied') await this.#takeOver(record.copyId);
    this.#state = 'complete';
  }

  /** A copy that cannot be handed over is worth nothing: the pair went on, so it begins anew. */
  async #takeOver(copyId: string): Promise<void> {
    const { directory, placement } = this.#parts;
    this.#state = 'taking-over';
    this.#copyId = copyId;
    try {
      await this.#ask({ ask: 'hand-over' });
    } catch (error) {
      if (isOperationError(error, UNKNOWN_COPY)) await writeArrival(directory, { state: 'copying', placement });
      throw error;
    }
    await writeArrival(directory, { state: 'complete', placement, copyId });
  }

  async #copyAll(): Promise<void> {
    const { directory, clock } = this.#parts;
    [this.#copiedBytes, this.#totalBytes, this.#beganAt] = [0, 0, clock()];
    const { copyId, blockBytes } = await this.#askJson({ ask: 'begin' }, begunSchema);
    this.#copyId = copyId;
    const replica = await directory.open('replica.img', { create: true });
    const files = new FileCopier({ directory, ask: (question) => this.#ask(question), copied: (bytes) => (this.#copiedBytes += bytes) });
    try {
      const pending = new ChangedBlocks(blockBytes);
      // What an earlier copy left here may be a hole there by now.
      pending.markData(replica);
      const last = await this.#copyRounds({ replica, files, pending });
      await replica.sync();
      await files.keepOnly(last.files);
      await directory.sync();
    } finally {
      await replica.close();
    }
  }

  /** Returns the round of the pair as it stands, all of which is here then, blocks and sealed files not durable yet. */
  async #copyRounds({ replica, files, pending }: { readonly replica: StorageFile; readonly files: FileCopier; readonly pending: ChangedBlocks }): Promise<CopyRound> {
    let [before, asked] = [Infinity, false];
    for (let number = 1; ; number++) {
      const round = await this.#askJson({ ask: 'round', round: number }, roundSchema);
      if (replica.size() !== round.sizeBytes) await replica.truncate(round.sizeBytes);
      for (const [first, count] of round.changed) pending.addRun([first, count]);
      const missing = await files.missing(round.files);
      const blockBytes = pending.size * pending.blockBytes;
      const bytes = blockBytes + missing.reduce((sum, file) => sum + file.bytes, 0);
      this.#totalBytes += bytes;
      await this.#copyBlocks(replica, pending, round.sizeBytes);
      await files.copy(missing);
      if (round.stands && round.leftBlocks === 0) return round;
      const left = bytes + round.leftBlocks * pending.blockBytes + round.unsealedBytes;
      const isSmall = number > 1 && round.leftBlocks === 0 && (left <= STAND_BYTES_MAX || left > SLOW_PART * before);
      before = left;
      if (asked) await this.#parts.delay(STAND_LOOK_MILLIS);
      else if (isSmall) {
        await this.#ask({ ask: 'stand' });
        [asked, this.#state] = [true, 'taking-over'];
      }
    }
  }

  async #copyBlocks(replica: StorageFile, pending: ChangedBlocks, sizeBytes: ByteCount): Promise<void> {
    const hasher = new BlockHasher(this.#parts.pairId, new BlockLayout(pending.blockBytes));
    const one = async (): Promise<void> => {
      while (pending.size > 0) await this.#copyRuns(pending.take({ blocksMax: BLOCKS_MAX }), { replica, hasher, sizeBytes });
    };
    // All of them end first: a late write of an old content must not hit a copy that begins anew.
    const ended = await Promise.allSettled(Array.from({ length: QUESTIONS_AT_ONCE }, one));
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  async #copyRuns(taken: readonly BlockRun[], { replica, hasher, sizeBytes }: { readonly replica: StorageFile; readonly hasher: BlockHasher; readonly sizeBytes: ByteCount }): Promise<void> {
    const { blockBytes } = hasher.layout;
    const blocksInVolume = Math.ceil(sizeBytes / blockBytes);
    const runs = taken.map(([first, count]): BlockRun => [first, Math.min(count, blocksInVolume - first)]).filter(([, count]) => count > 0);
    const checksums = await Promise.all(runs.map(async ([first, count]) => {
      const own = readBuffer(Math.min(count * blockBytes, sizeBytes - first * blockBytes));
      return hasher.checksumsOf(own.fill(0, await replica.read(own, first * blockBytes)));
    }));
    const answer = await this.#ask({ ask: 'blocks', runs, checksums: Buffer.concat(checksums).toString('base64') });
    const blocks = runs.flatMap(([first, count]) => Array.from({ length: count }, (_, index) => first + index));
    let at = blocks.length;
    for (const [index, block] of blocks.entries()) {
      const place = block * blockBytes;
      const length = Math.min(blockBytes, sizeBytes - place);
      if (answer[index] === blockKinds.zeros) replica.punchHole(place, length);
      if (answer[index] !== blockKinds.data) continue;
      await replica.write([answer.subarray(at, at + length)], place);
      at += length;
    }
    if (answer.length !== at) throw badAnswer(`${blocks.length} blocks`);
    this.#copiedBytes += blocks.length * blockBytes;
  }

  async #askJson<Schema extends z.ZodType>(question: Asked, schema: Schema): Promise<z.output<Schema>> {
    const answer = await this.#ask(question);
    try {
      return schema.parse(JSON.parse(Buffer.from(answer).toString('utf8')));
    } catch (cause) {
      throw badAnswer(question.ask, cause);
    }
  }

  /** Asks until there is an answer. Throws `copy/…` when it is refused. */
  async #ask(question: Asked): Promise<Uint8Array> {
    const { ask, placement, delay, signal } = this.#parts;
    const bytes = Buffer.from(JSON.stringify({ placement, copyId: this.#copyId, ...question }));
    for (let pause = RETRY_MILLIS_MIN; ; pause = Math.min(RETRY_MILLIS_MAX, pause * 2)) {
      if (signal.aborted) throw new Stopped();
      const answer = await ask(bytes);
      if (answer.kind === 'copied') {
        this.#fault = undefined;
        return answer.answer;
      }
      if (answer.kind === 'refused' && !passing.includes(answer.code)) throw refusedError(answer);
      this.#fault = faultOf(answer);
      await delay(answer.kind === 'held-off' ? answer.retryAfterMillis : pause);
    }
  }
}

function faultOf(answer: Exclude<CopyAnswer, { kind: 'copied' }>): NonNullable<PairArrivalTelemetry['fault']> {
  switch (answer.kind) {
    case 'unreachable':
      return isOperationError(answer.cause) ? { code: answer.cause.code, hint: answer.cause.hint } : { code: 'transport/unreachable', hint: answer.cause.message };
    case 'held-off':
      return { code: answer.code, hint: `The other master target holds the copy off: ${answer.detail}.` };
    case 'refused':
      return { code: answer.code, hint: answer.hint };
  }
}

function refusedError({ code, detail, hint }: { readonly code: string; readonly detail: string; readonly hint: string }): OperationError {
  const known = [UNKNOWN_COPY, FILE_GONE].includes(code);
  const words = code === HANDED_OVER ? `${detail}: secondsite volume move VOLUME --cancel.` : hint;
  return new OperationError({ code, operation: 'copy pair', context: { detail }, retryable: known, hint: words });
}

function badAnswer(what: string, cause?: unknown): OperationError {
  const hint = 'The other master target may have another version; the copy begins anew.';
  return new OperationError({ code: 'copy/bad-answer', operation: 'copy pair', context: { what }, retryable: true, hint, cause });
}
