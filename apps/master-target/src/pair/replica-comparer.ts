// SPDX-License-Identifier: Apache-2.0
// Answers what of a volume differs at its replica (fast resync). Invariant: every checksum is of a content that the block had at some moment
// between the question and its answer, with everything applied that the question names. Applying goes on meanwhile; a block that it writes is
// one that the agent does not decide by this answer (ADR 15). The thread pool reads, chunk by chunk; the pair's thread only computes
// checksums, about 0.1 ms in a row.
import {
  type Answer, BlockHasher, blockCountOf, CHECKSUM_BYTES, CHUNK_BYTES, chunkBytesAt, chunkCountOf, decodeQuestion, encodeAnswer, type Question,
} from '@secondsite/block-checksums';
import type { StorageFile } from '@secondsite/durable-storage';
import { compareStreamPlaces } from '@secondsite/retention-journal';
import type { CompareOutcome } from '@secondsite/transport';
import type { ByteCount, ByteOffset, Epoch } from '@secondsite/units';
import type { StreamPlace } from './pair-types';

export interface ReplicaComparerOptions {
  readonly pairId: string;
  readonly replica: StorageFile;
  readonly volumeBytes: ByteCount;
  /** The replica holds everything up to here; undefined: nobody can tell. */
  readonly reached: () => StreamPlace | undefined;
  /** Of the pair, received or applied. */
  readonly newestEpoch: () => Epoch;
}

/** Answered at once; each needs memory for one chunk. */
const QUESTIONS_MAX = 8;
const RETRY_MILLIS = 20;

export class ReplicaComparer {
  readonly #options: ReplicaComparerOptions;
  readonly #hasher: BlockHasher;
  #questions = 0;

  constructor(options: ReplicaComparerOptions) {
    this.#options = options;
    this.#hasher = new BlockHasher(options.pairId);
  }

  /** `bytes`: a question, unchecked. Rejects with the storage's OperationError. */
  async compare(bytes: Uint8Array, place: StreamPlace): Promise<CompareOutcome> {
    const { newestEpoch, reached, volumeBytes } = this.#options;
    const question = decodeQuestion(bytes);
    if (!question) return refused('comparison/malformed', 'the question is damaged or of another version');
    if (question.volumeBytes !== volumeBytes) return refused('comparison/other-size', `the volume has ${volumeBytes} bytes here`);
    if (place.epoch < newestEpoch()) return refused('change-set/old-epoch', `epoch ${place.epoch} is over, the pair is at epoch ${newestEpoch()}`);
    const at = reached();
    if (!at || compareStreamPlaces(at, place) < 0) return heldOff('comparison/not-applied', 'the change sets before the question are not applied yet');
    if (this.#questions >= QUESTIONS_MAX) return heldOff('comparison/busy', 'too many questions at once');
    this.#questions += 1;
    try {
      return { kind: 'compared', answer: encodeAnswer(bytes, await this.#answer(question, Buffer.allocUnsafe(CHUNK_BYTES))) };
    } finally {
      this.#questions -= 1;
    }
  }

  async #answer(question: Question, memory: Buffer): Promise<Answer> {
    const chunks: (Uint8Array | undefined)[] = [];
    let readBlocks = 0;
    for (let index = 0; index < chunkCountOf(question); index++) {
      const offset = question.offset + index * CHUNK_BYTES;
      const { checksums, read } = await this.#checksums(offset, memory.subarray(0, chunkBytesAt(offset, question.volumeBytes)));
      const asked = question.digests.subarray(index * CHECKSUM_BYTES, (index + 1) * CHECKSUM_BYTES);
      chunks.push(this.#hasher.digestOf(checksums).equals(asked) ? undefined : checksums);
      readBlocks += read;
    }
    return { readBlocks, chunks };
  }

  /** Of one chunk, and how many blocks had to be read. A hole is known without that. */
  async #checksums(offset: ByteOffset, chunk: Buffer): Promise<{ readonly checksums: Buffer; readonly read: number }> {
    const { replica } = this.#options;
    const data = replica.nextData(offset);
    if (!data || data.offset >= offset + chunk.length) return { checksums: this.#hasher.checksumsOfZeros(chunk.length), read: 0 };
    chunk.fill(0, await replica.read(chunk, offset));
    return { checksums: this.#hasher.checksumsOf(chunk), read: blockCountOf(chunk.length) };
  }
}

function refused(code: string, detail: string): CompareOutcome {
  return { kind: 'refused', code, detail, hint: 'Nothing is compared; the resynchronisation sends everything.' };
}

/** It passes in a moment. */
function heldOff(code: string, detail: string): CompareOutcome {
  return { kind: 'held-off', code, detail, retryAfterMillis: RETRY_MILLIS };
}
