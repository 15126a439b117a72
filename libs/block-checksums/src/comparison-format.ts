// SPDX-License-Identifier: Apache-2.0
// The bytes of a question and of its answer, version 1; FORMAT.md explains them. Pure: bytes in, values out. Foreign bytes that are not
// exactly of the format, or were damaged on the way, give undefined: a damaged answer must never say that something is the same.
import type { ByteCount, ByteOffset } from '@secondsite/units';
import { XXHash3 } from 'xxhash-addon';
import { BlockLayout, CHECKSUM_BYTES, CHUNKS_MAX } from './block-layout';

const QUESTION_MAGIC = 0x51435353; // 'SSCQ' read as little-endian
const ANSWER_MAGIC = 0x41435353; // 'SSCA'
const VERSION = 1;
const HEADER_BYTES = 24;
const SEAL_BYTES = 8;
const SAME = 0;
const DIFFERS = 1;

/** No question is longer. */
export const QUESTION_BYTES_MAX = HEADER_BYTES + CHUNKS_MAX * CHECKSUM_BYTES + SEAL_BYTES;

/** "Are these chunks the same at your place?" */
export interface Question {
  /** Of the first chunk; a multiple of a chunk. */
  readonly offset: ByteOffset;
  readonly volumeBytes: ByteCount;
  /** Of each chunk the digest of its block checksums, one after another; 1 … CHUNKS_MAX of them, all inside the volume. */
  readonly digests: Uint8Array;
}

export interface Answer {
  /** Blocks whose content was read for it; the others were known. */
  readonly readBlocks: number;
  /** Per chunk of the question: undefined when it is the same, else the checksums of its blocks. */
  readonly chunks: readonly (Uint8Array | undefined)[];
}

export function chunkCountOf({ digests }: Pick<Question, 'digests'>): number {
  return digests.byteLength / CHECKSUM_BYTES;
}

export function encodeQuestion(question: Question): Buffer {
  const header = headerOf(QUESTION_MAGIC, chunkCountOf(question));
  header.writeBigUInt64LE(BigInt(question.offset), 8);
  header.writeBigUInt64LE(BigInt(question.volumeBytes), 16);
  return sealed([header, question.digests]);
}

export function decodeQuestion(bytes: Uint8Array, { chunkBytes }: BlockLayout = BlockLayout.standard): Question | undefined {
  const content = unsealed(bytes, QUESTION_MAGIC);
  if (!content) return undefined;
  const count = content.readUInt16LE(6);
  const [offset, volumeBytes] = [Number(content.readBigUInt64LE(8)), Number(content.readBigUInt64LE(16))];
  if (count < 1 || count > CHUNKS_MAX || content.length !== HEADER_BYTES + count * CHECKSUM_BYTES) return undefined;
  if (!Number.isSafeInteger(volumeBytes) || offset % chunkBytes !== 0 || offset + (count - 1) * chunkBytes >= volumeBytes) return undefined;
  return { offset, volumeBytes, digests: content.subarray(HEADER_BYTES) };
}

/** `question`: its bytes, as they were received. */
export function encodeAnswer(question: Uint8Array, { readBlocks, chunks }: Answer): Buffer {
  const header = headerOf(ANSWER_MAGIC, chunks.length);
  sealOf(question).copy(header, 8);
  header.writeUInt32LE(readBlocks, 16);
  const marks = Buffer.from(chunks.map((chunk) => (chunk ? DIFFERS : SAME)));
  return sealed([header, marks, ...chunks.filter((chunk) => chunk !== undefined)]);
}

/** `question`: the bytes that were sent. Undefined also when the answer is to another question. */
export function decodeAnswer(bytes: Uint8Array, question: Uint8Array, layout: BlockLayout = BlockLayout.standard): Answer | undefined {
  const content = unsealed(bytes, ANSWER_MAGIC);
  const asked = decodeQuestion(question, layout);
  if (!content || !asked || !content.subarray(8, 16).equals(sealOf(question))) return undefined;
  const count = chunkCountOf(asked);
  if (content.readUInt16LE(6) !== count || content.length < HEADER_BYTES + count) return undefined;
  const chunks: (Uint8Array | undefined)[] = [];
  let at = HEADER_BYTES + count;
  for (let index = 0; index < count; index++) {
    const mark = content[HEADER_BYTES + index];
    const length = mark === DIFFERS ? layout.blockCountOf(layout.chunkBytesAt(asked.offset + index * layout.chunkBytes, asked.volumeBytes)) * CHECKSUM_BYTES : 0;
    if ((mark !== DIFFERS && mark !== SAME) || at + length > content.length) return undefined;
    chunks.push(mark === DIFFERS ? content.subarray(at, at + length) : undefined);
    at += length;
  }
  return at === content.length ? { readBlocks: content.readUInt32LE(16), chunks } : undefined;
}

function headerOf(magic: number, count: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(magic, 0);
  header.writeUInt16LE(VERSION, 4);
  header.writeUInt16LE(count, 6);
  return header;
}

function sealed(parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([content, XXHash3.hash(content)]);
}

/** What stands before the seal, when that is right. */
function unsealed(bytes: Uint8Array, magic: number): Buffer | undefined {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (whole.length < HEADER_BYTES + SEAL_BYTES || whole.readUInt32LE(0) !== magic || whole.readUInt16LE(4) !== VERSION) return undefined;
  const content = whole.subarray(0, whole.length - SEAL_BYTES);
  return XXHash3.hash(content).equals(sealOf(whole)) ? content : undefined;
}

function sealOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + bytes.byteLength - SEAL_BYTES, SEAL_BYTES);
}
