// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

const FIRST_MILLIS = 5000;
const LONGEST_MILLIS = 60_000;
const WINDOW_MILLIS = 300;

/**
 * How long a pair stays in bitmap mode after its buffer ran over. A resynchronisation that starts while the application still writes faster
 * than the pair can be replicated ends in the next overload; all it does is take processor and disk from the application. So it starts when
 * the application has calmed down, or after 5 s, and after twice as long, up to a minute, each time that this was too early.
 */
export class OverloadPause {
  readonly #millis: () => number;
  readonly #calmBytesPerSecond: ByteCount;
  #pauseMillis = FIRST_MILLIS;
  #until = 0;
  #windowStart = 0;
  #windowBytes: ByteCount = 0;

  /** `millis`: a monotonic clock. `calmBytesPerSecond`: a rate that the pair can be expected to take. */
  constructor(options: { readonly millis: () => number; readonly calmBytesPerSecond: ByteCount }) {
    this.#millis = options.millis;
    this.#calmBytesPerSecond = options.calmBytesPerSecond;
  }

  /** The buffer ran over. */
  begin(): void {
    const now = this.#millis();
    this.#until = now + this.#pauseMillis;
    this.#pauseMillis = Math.min(this.#pauseMillis * 2, LONGEST_MILLIS);
    this.#startWindow(now);
  }

  /** The pair has caught up: the next overload is a new one. */
  caughtUp(): void {
    this.#pauseMillis = FIRST_MILLIS;
  }

  /** The application wrote. */
  count(bytes: ByteCount): void {
    this.#windowBytes += bytes;
  }

  /** Asked often. */
  get isOver(): boolean {
    const now = this.#millis();
    if (now >= this.#until) return true;
    if (now - this.#windowStart < WINDOW_MILLIS) return false;
    const bytesPerSecond = (this.#windowBytes * 1000) / (now - this.#windowStart);
    this.#startWindow(now);
    if (bytesPerSecond <= this.#calmBytesPerSecond) this.#until = now;
    return now >= this.#until;
  }

  #startWindow(now: number): void {
    this.#windowStart = now;
    this.#windowBytes = 0;
  }
}
