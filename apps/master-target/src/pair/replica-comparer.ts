// SPDX-License-Identifier: Apache-2.0
// Answers what of a volume differs at its replica (fast resync). Invariant: every checksum is of a content that the block had at some moment
// between the question and its answer, with everything applied that the question names. Applying goes on meanwhile; a block that it writes is
// one that the agent does not decide by this answer (ADR 15). What is in memory is read by the pair's thread, chunk by chunk, and the rest by the
// thread pool; with the checksums that takes about 0.2 ms in a row.
import {
  type Answer, BlockHasher, type BlockLayout, CHECKSUM_BYTES, ChecksummedContent, chunkCountOf, decodeQuestion, encodeAnswer, type KeptChecksums, type Question,
} from '@secondsite/block-checksums';
import type { StorageFile } from '@secondsite/durable-storage';
import { compareStreamPlaces } from '@secondsite/retention-journal';
import type { CompareOutcome } from '@secondsite/transport';
import type { Epoch } from '@secondsite/units';
import type { ByteRange } from '@secondsite/write-intent-bitmap';
import type { StreamPlace } from './pair-types';

export interface ReplicaComparerOptions {
  readonly pairId: string;
  readonly replica: StorageFile;
  /** Of the replica. */
  readonly checksums: KeptChecksums;
  readonly layout: BlockLayout | undefined;
  /** The replica holds everything up to here; undefined: nobody can tell. */
  readonly reached: () => StreamPlace | undefined;
  /** Resolves when `reached` has moved. */
  readonly moved: () => Promise<void>;
  /** Resolves after about so many milliseconds. */
  readonly delay: (millis: number) => Promise<void>;
  /** Of the pair, received or applied. */
  readonly newestEpoch: () => Epoch;
}

/** Answered at once; each needs memory for one chunk. */
const QUESTIONS_MAX = 8;
const RETRY_MILLIS = 20;
/** So long a question waits for what it names: mostly that is on its way, and asking again costs more. */
const WAIT_MILLIS = 500;

export class ReplicaComparer {
  readonly #options: ReplicaComparerOptions;
  readonly #hasher: BlockHasher;
  readonly #content: ChecksummedContent;
  #questions = 0;

  constructor(options: ReplicaComparerOptions) {
    this.#options = options;
    this.#hasher = new BlockHasher(options.pairId, options.layout);
    const { checksums, replica } = options;
    this.#content = new ChecksummedContent({ hasher: this.#hasher, kept: checksums, read: (into, offset) => replica.read(into, offset), isHole: (range) => isHole(replica, range) });
  }

  /** `bytes`: a question, unchecked. Rejects with the storage's OperationError. */
  async compare(bytes: Uint8Array, place: StreamPlace): Promise<CompareOutcome> {
    const { newestEpoch, replica } = this.#options;
    const question = decodeQuestion(bytes, this.#hasher.layout);
    if (!question) return refused('comparison/malformed', 'the question is damaged or of another version');
    if (place.epoch < newestEpoch()) return refused('change-set/old-epoch', `epoch ${place.epoch} is over, the pair is at epoch ${newestEpoch()}`);
    if (this.#questions >= QUESTIONS_MAX) return heldOff('comparison/busy', 'too many questions at once');
    this.#questions += 1;
    try {
      if (!(await this.#reaches(place))) return heldOff('comparison/not-applied', 'the change sets before the question are not applied yet');
      // Only now: the set that begins the epoch may have said that the volume grew.
      if (question.volumeBytes !== replica.size()) return refused('comparison/other-size', `the volume has ${replica.size()} bytes here`);
      return { kind: 'compared', answer: encodeAnswer(bytes, await this.#answer(question)) };
    } finally {
      this.#questions -= 1;
    }
  }

  /** The replica holds everything up to the place, now or in a moment. */
  async #reaches(place: StreamPlace): Promise<boolean> {
    const { delay, moved, reached } = this.#options;
    let isOver = false;
    const isReached = (): boolean => compareStreamPlaces(reached() ?? { epoch: 0, sequence: 0 }, place) >= 0;
    if (isReached()) return true;
    const over = delay(WAIT_MILLIS).then(() => (isOver = true));
    while (!isOver && !isReached()) await Promise.race([moved(), over]);
    return isReached();
  }

  async #answer({ digests, offset, volumeBytes }: Question): Promise<Answer> {
    const chunks: (Uint8Array | undefined)[] = [];
    let readBlocks = 0;
    const length = Math.min(chunkCountOf({ digests }) * this.#hasher.layout.chunkBytes, volumeBytes - offset);
    for await (const chunk of this.#content.chunksOf({ offset, length })) {
      const asked = digests.subarray(chunks.length * CHECKSUM_BYTES, (chunks.length + 1) * CHECKSUM_BYTES);
      chunks.push(this.#hasher.digestOf(chunk.checksums).equals(asked) ? undefined : chunk.checksums);
      readBlocks += chunk.readBlocks;
    }
    return { readBlocks, chunks };
  }
}

function isHole(replica: StorageFile, { offset, length }: ByteRange): boolean {
  const data = replica.nextData(offset);
  return !data || data.offset >= offset + length;
}

function refused(code: string, detail: string): CompareOutcome {
  return { kind: 'refused', code, detail, hint: 'Nothing is compared; the resynchronisation sends everything.' };
}

/** It passes in a moment. */
function heldOff(code: string, detail: string): CompareOutcome {
  return { kind: 'held-off', code, detail, retryAfterMillis: RETRY_MILLIS };
}
