// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';
import type { ResyncCounts } from './resync-reader';

export interface ResyncReading {
  readonly doneBytes: ByteCount;
  readonly totalBytes: ByteCount;
  /** Over the last half minute; absent before anything was read. */
  readonly bytesPerSecond?: number;
  /** At that rate; absent when nothing moves. */
  readonly finishSeconds?: number;
  /** Compared with the replica so far; absent: nothing is compared. */
  readonly blocks?: { readonly compared: number; readonly sent: number; readonly skipped: number };
}

interface Sample {
  readonly millis: number;
  readonly doneBytes: ByteCount;
}

const WINDOW_MILLIS = 30_000;
const SAMPLE_MILLIS = 1000;

/** How far step 1 of a resynchronisation is, and when it will be over at the rate of the last half minute. */
export class ResyncProgress {
  readonly #millis: () => number;
  readonly #samples: Sample[];
  /** What has to be read in all; grows when the tap misses more. */
  #totalBytes: ByteCount;

  /** `millis`: a monotonic clock. `totalBytes`: to be read, now. */
  constructor(options: { readonly millis: () => number; readonly totalBytes: ByteCount }) {
    this.#millis = options.millis;
    this.#totalBytes = options.totalBytes;
    this.#samples = [{ millis: options.millis(), doneBytes: 0 }];
  }

  /** `leftBytes`: still to be read. `counts`: what was compared. */
  reading(leftBytes: ByteCount, { comparedBlocks: compared, sentBlocks: sent, skippedBlocks: skipped }: ResyncCounts): ResyncReading {
    this.#totalBytes = Math.max(this.#totalBytes, leftBytes);
    const totalBytes = this.#totalBytes;
    const doneBytes = totalBytes - leftBytes;
    const bytesPerSecond = this.#rate(doneBytes);
    const done = { doneBytes, totalBytes, ...(compared > 0 ? { blocks: { compared, sent, skipped } } : {}) };
    return bytesPerSecond > 0 ? { ...done, bytesPerSecond, finishSeconds: leftBytes / bytesPerSecond } : done;
  }

  #rate(doneBytes: ByteCount): number {
    const now = this.#millis();
    while (this.#samples.length > 1 && now - (this.#samples[1] as Sample).millis >= WINDOW_MILLIS) this.#samples.shift();
    const oldest = this.#samples[0] as Sample;
    if (now - (this.#samples.at(-1) as Sample).millis >= SAMPLE_MILLIS) this.#samples.push({ millis: now, doneBytes });
    return now > oldest.millis ? ((doneBytes - oldest.doneBytes) * 1000) / (now - oldest.millis) : 0;
  }
}
