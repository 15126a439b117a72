// SPDX-License-Identifier: Apache-2.0
import { encodeChangeSet } from '@secondsite/change-set';
import { blockBytesOf, type DeduplicationScope } from '../deduplication-scope';

export interface SampleBlocks {
  readonly scope: DeduplicationScope;
  readonly pairId: string;
  readonly sequence: number;
  /** What each block of the volume from `firstBlock` on holds: the same number, the same content. */
  readonly contents: readonly number[];
  readonly firstBlock?: number;
  /** Of the write in front of the first block's. Default 0. */
  readonly bytesBefore?: number;
}

const startMicros = 1_795_000_000_000_000;

/** Blocks one after another, as a volume holds them. Nothing of it compresses. */
export function contentOfVolume(scope: DeduplicationScope, contents: readonly number[]): Uint8Array {
  return Buffer.concat(contents.map((content) => incompressible(content, blockBytesOf(scope))));
}

/** A change set of epoch 1 with one write over all the blocks. */
export function setOfBlocks({ scope, pairId, sequence, contents, firstBlock = 0, bytesBefore = 0 }: SampleBlocks): Uint8Array {
  const data = Buffer.concat([Buffer.alloc(bytesBefore, 0xee), contentOfVolume(scope, contents)]);
  const offset = firstBlock * blockBytesOf(scope) - bytesBefore;
  const write = { kind: 'write' as const, time: startMicros + sequence, offset, length: data.length, bytes: [data] };
  const { parts } = encodeChangeSet({ pairId, epoch: 1, sequence, traceparent: undefined }, [write]);
  return Uint8Array.from(Buffer.concat(parts));
}

function incompressible(seed: number, length: number): Uint8Array {
  const words = new Uint32Array(length / 4);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer);
}
