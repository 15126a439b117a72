// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { BlockLayout, chunkCountOf, decodeQuestion, encodeAnswer, KeptChecksums } from '@secondsite/block-checksums';
import { CrashableStorage } from '@secondsite/durable-storage/testing';
import type { CompareAnswer } from '@secondsite/transport';
import { RegionComparer } from './region-comparer';
import { ResyncActivity } from './resync-activity';

const layout = new BlockLayout(512);
const volumeBytes = 800 * layout.chunkBytes;

/** Compares a volume with a replica that is the same, again and again from its beginning; `longest`: chunks in a question that the target takes. */
class Bench {
  readonly asked: number[] = [];
  readBlocks = 0;
  longest = Infinity;
  readonly comparer: RegionComparer;

  private constructor(source: Awaited<ReturnType<CrashableStorage['root']['open']>>, checksums: KeptChecksums) {
    this.comparer = new RegionComparer({
      pairId: 'pair', volumeBytes, source, checksums, layout, outcome: { failed: () => undefined, worked: () => undefined }, millis: () => 0,
      position: () => ({ epoch: 1, sealed: 1, applied: 1 }), compare: async (question) => this.#answer(question),
    });
    this.comparer.start(1);
  }

  static async open(): Promise<Bench> {
    const { root } = new CrashableStorage();
    const source = await root.open('disk', { create: true });
    await source.truncate(volumeBytes);
    return new Bench(source, await KeptChecksums.open({ directory: root, name: 'kept', pairId: 'pair', volumeBytes, layout }));
  }

  /** The whole volume; lengths of the questions. */
  async compareAll(): Promise<number[]> {
    this.asked.length = 0;
    for (let offset = 0; offset < volumeBytes;) {
      const length = Math.min(this.comparer.runBytes, volumeBytes - offset);
      const verdict = await this.comparer.compare(new ResyncActivity({ offset, length }));
      if (verdict.kind === 'refused') throw new Error('refused');
      if (verdict.kind === 'compared') offset += length;
    }
    return [...this.asked];
  }

  #answer(bytes: Uint8Array): CompareAnswer {
    const question = decodeQuestion(bytes, layout);
    const count = question ? chunkCountOf(question) : 0;
    this.asked.push(count);
    if (count > this.longest) return { kind: 'refused', status: 400, code: 'comparison/malformed', detail: '', hint: '' };
    return { kind: 'compared', answer: encodeAnswer(bytes, { readBlocks: this.readBlocks, chunks: Array.from({ length: count }, () => undefined) }) };
  }
}

describe('questions about runs of regions', () => {
  it('are short while much has to be read, and become longer while both sides know nearly all checksums', async () => {
    const bench = await Bench.open();
    expect(await bench.compareAll()).toEqual([...Array.from({ length: 12 }, () => 64), 32]);
    expect(await bench.compareAll()).toEqual([64, 128, 240, 240, 128]);
    bench.readBlocks = 481;
    expect(await bench.compareAll()).toEqual([240, ...Array.from({ length: 8 }, () => 64), 48]);
    bench.readBlocks = 128;
    expect(await bench.compareAll()).toEqual([64, 128, 240, 240, 128]);
  });

  it('are no longer than an older target takes, once that has refused one', async () => {
    const bench = await Bench.open();
    bench.longest = 64;
    await bench.compareAll();
    expect(await bench.compareAll()).toEqual([64, 128, ...Array.from({ length: 11 }, () => 64), 32]);
  });
});
