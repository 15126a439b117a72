// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { NbdClient } from '@secondsite/nbd';
import { readTrace, replayTrace, traceDiskBytes } from './block-trace';

const text = [
  'Copyright by somebody; see below',
  'start ; sector; length ; op ;  replay_delay=0 ; replay_duration=0',
  '      0.000000000 ;     100 ;   64 ; W ; 0.0 ; 0.0',
  '      0.500000000 ;       2 ;    1 ; R ; 0.0 ; 0.0',
  '      0.500000001 ;       0 ;    0 ; W ; 0.0 ; 0.0',
].join('\n');

/** Answers after a while, and notes when what was asked. */
class SlowDisk {
  readonly asked: { readonly kind: string; readonly offset: number; readonly length: number; readonly millis: number }[] = [];
  #open = 0;
  openMax = 0;

  constructor(private readonly answerMillis: number) {}

  read = (offset: number, into: Uint8Array): Promise<void> => this.#take('read', offset, into.length);
  write = (offset: number, bytes: Uint8Array): Promise<void> => this.#take('write', offset, bytes.length);

  async #take(kind: string, offset: number, length: number): Promise<void> {
    this.asked.push({ kind, offset, length, millis: performance.now() });
    this.openMax = Math.max(this.openMax, ++this.#open);
    await new Promise((resolve) => setTimeout(resolve, this.answerMillis));
    this.#open -= 1;
  }
}

describe('a block trace', () => {
  it('is read from a text with a header, also compressed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'trace-'));
    const [plain, compressed] = [join(folder, 'a.load'), join(folder, 'a.load.gz')];
    await writeFile(plain, text);
    await writeFile(compressed, gzipSync(text));
    const trace = await readTrace(plain);
    expect(trace).toEqual([{ seconds: 0, offset: 51_200, length: 32_768, write: true }, { seconds: 0.5, offset: 1024, length: 512, write: false }]);
    expect(await readTrace(compressed)).toEqual(trace);
    expect(traceDiskBytes(trace)).toBe(83_968);
    await writeFile(plain, 'nothing');
    await expect(readTrace(plain)).rejects.toThrow('no request');
    await rm(folder, { recursive: true });
  });

  it('is replayed at the times of its requests, without waiting for answers, and tells the slowest', async () => {
    const disk = new SlowDisk(60);
    const request = (seconds: number, write: boolean) => ({ seconds, offset: 512, length: 1024, write });
    const { slowestMillis } = await replayTrace([request(0, true), request(0.2, false), request(0.4, true)], disk as unknown as NbdClient, { speed: 10 });
    expect(disk.asked.map(({ kind, length }) => `${kind} ${length}`)).toEqual(['write 1024', 'read 1024', 'write 1024']);
    const [first, second, third] = disk.asked.map(({ millis }) => millis) as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(19);
    expect(third - first).toBeGreaterThanOrEqual(39);
    expect(disk.openMax).toBeGreaterThan(1);
    expect(slowestMillis).toBeGreaterThanOrEqual(59);
  });
});
