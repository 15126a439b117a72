// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { KIB, MIB } from '@secondsite/units';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockHasher } from './block-hasher';
import { BLOCK_BYTES, CHECKSUM_BYTES, CHUNK_BYTES, CHUNKS_MAX } from './block-layout';
import { type Answer, decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion, type Question, QUESTION_BYTES_MAX } from './comparison-format';

const pairId = '0b8f2f0e-5a3c-4a57-9f6e-0123456789ab';
const hasher = new BlockHasher(pairId);

describe('checksums of blocks', () => {
  it('are one per block, also of a short last one, and tell a single changed bit', () => {
    const bytes = Buffer.alloc(3 * BLOCK_BYTES + 5, 7);
    const before = hasher.checksumsOf(bytes);
    expect(before.length).toBe(4 * CHECKSUM_BYTES);
    bytes[BLOCK_BYTES + 3] = 6;
    const after = hasher.checksumsOf(bytes);
    const blocks = [0, 1, 2, 3].map((block) => before.subarray(block * 16, block * 16 + 16).equals(after.subarray(block * 16, block * 16 + 16)));
    expect(blocks).toEqual([true, false, true, true]);
  });

  it('of zeros are known without any', () => {
    for (const length of [1, BLOCK_BYTES, CHUNK_BYTES, 2 * BLOCK_BYTES + 17]) expect(hasher.checksumsOfZeros(length)).toEqual(hasher.checksumsOf(Buffer.alloc(length)));
  });

  it('are the same at both sides of a pair and others for another pair', () => {
    const bytes = Buffer.from('some block');
    expect(new BlockHasher(pairId).checksumsOf(bytes)).toEqual(hasher.checksumsOf(bytes));
    expect(new BlockHasher(pairId.replace('0b', '0c')).checksumsOf(bytes)).not.toEqual(hasher.checksumsOf(bytes));
  });
});

const golden = (name: string): Buffer => Buffer.from(readFileSync(join(__dirname, 'testing', 'golden', name), 'utf8'), 'hex');
const volumeBytes = 5 * MIB + 70 * KIB;
const goldenQuestion: Question = {
  offset: 4 * MIB, volumeBytes, digests: Buffer.concat([hasher.digestOf(hasher.checksumsOfZeros(MIB)), hasher.digestOf(hasher.checksumsOf(Buffer.alloc(70 * KIB, 1)))]),
};
const goldenAnswer: Answer = { readBlocks: 2, chunks: [undefined, hasher.checksumsOf(Buffer.alloc(70 * KIB, 2))] };

describe('golden samples of version 1', () => {
  it('are what is written today, and read as what they were', () => {
    const question = encodeQuestion(goldenQuestion);
    expect(question.toString('hex')).toBe(golden('v1-question.hex').toString('hex'));
    expect(decodeQuestion(golden('v1-question.hex'))).toEqual(goldenQuestion);
    expect(encodeAnswer(question, goldenAnswer).toString('hex')).toBe(golden('v1-answer.hex').toString('hex'));
    expect(decodeAnswer(golden('v1-answer.hex'), question)).toEqual(goldenAnswer);
  });
});

const asked = fc.record({ chunk: fc.nat(1000), count: fc.integer({ min: 1, max: CHUNKS_MAX }), lastBytes: fc.integer({ min: 1, max: CHUNK_BYTES }), seed: fc.nat(255) });

function questionOf({ chunk, count, lastBytes, seed }: { chunk: number; count: number; lastBytes: number; seed: number }): Question {
  return { offset: chunk * CHUNK_BYTES, volumeBytes: (chunk + count - 1) * CHUNK_BYTES + lastBytes, digests: Buffer.alloc(count * CHECKSUM_BYTES, seed) };
}

function answerTo(question: Question, differs: (chunk: number) => boolean): Answer {
  const chunks = Array.from({ length: question.digests.length / CHECKSUM_BYTES }, (_, index) => {
    const length = Math.min(CHUNK_BYTES, question.volumeBytes - question.offset - index * CHUNK_BYTES);
    return differs(index) ? Buffer.alloc(Math.ceil(length / BLOCK_BYTES) * CHECKSUM_BYTES, index) : undefined;
  });
  return { readBlocks: 3, chunks };
}

describe('questions and answers', () => {
  it('read back what they say', () => {
    fc.assert(fc.property(asked, fc.nat(), (values, mask) => {
      const question = questionOf(values);
      const bytes = encodeQuestion(question);
      expect(bytes.length).toBeLessThanOrEqual(QUESTION_BYTES_MAX);
      expect(decodeQuestion(bytes)).toEqual(question);
      const answer = answerTo(question, (chunk) => ((mask >> chunk % 16) & 1) === 1);
      expect(decodeAnswer(encodeAnswer(bytes, answer), bytes)).toEqual(answer);
    }));
  });

  it('are refused when any byte is another or missing, and an answer when it is to another question', () => {
    fc.assert(fc.property(asked, fc.nat(), fc.integer({ min: 1, max: 255 }), (values, place, change) => {
      const question = encodeQuestion(questionOf(values));
      const answer = encodeAnswer(question, answerTo(questionOf(values), (chunk) => chunk % 3 === 0));
      const damaged = (bytes: Buffer): Buffer => {
        const copy = Buffer.from(bytes);
        copy[place % copy.length] = (copy[place % copy.length] as number) ^ change;
        return copy;
      };
      expect(decodeQuestion(damaged(question))).toBeUndefined();
      expect(decodeQuestion(question.subarray(0, place % question.length))).toBeUndefined();
      expect(decodeAnswer(damaged(answer), question)).toBeUndefined();
      expect(decodeAnswer(answer.subarray(0, place % answer.length), question)).toBeUndefined();
      expect(decodeAnswer(answer, encodeQuestion(questionOf({ ...values, seed: values.seed ^ 1 })))).toBeUndefined();
    }));
  });

  it('that name chunks outside the volume or between chunks are refused', () => {
    const { digests } = goldenQuestion;
    expect(decodeQuestion(encodeQuestion({ offset: 5 * MIB, volumeBytes, digests }))).toBeUndefined();
    expect(decodeQuestion(encodeQuestion({ offset: 4 * MIB + 512, volumeBytes, digests }))).toBeUndefined();
    expect(decodeQuestion(encodeQuestion({ offset: 0, volumeBytes, digests: Buffer.alloc(0) }))).toBeUndefined();
  });
});
