// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

export interface WriteCounters {
  readonly writes: number;
  readonly writtenBytes: ByteCount;
}

/** Rates between two readings of growing counters. */
export class RateMeter {
  readonly #millis: () => number;
  #last: (WriteCounters & { readonly at: number }) | undefined;

  /** `millis`: a monotonic clock. */
  constructor(millis: () => number) {
    this.#millis = millis;
  }

  /** Zero at the first reading, and after the counters started anew. */
  next(counters: WriteCounters | undefined): { readonly writesPerSecond: number; readonly bytesPerSecond: number } {
    const last = this.#last;
    const at = this.#millis();
    this.#last = counters && { writes: counters.writes, writtenBytes: counters.writtenBytes, at };
    if (!counters || !last || counters.writes < last.writes || at <= last.at) return { writesPerSecond: 0, bytesPerSecond: 0 };
    const seconds = (at - last.at) / 1000;
    return { writesPerSecond: (counters.writes - last.writes) / seconds, bytesPerSecond: (counters.writtenBytes - last.writtenBytes) / seconds };
  }
}
