// SPDX-License-Identifier: Apache-2.0
import type { ByteCount } from '@secondsite/units';

const FIRST_MILLIS = 10_000;
const LONGEST_MILLIS = 60_000;
const WINDOW_MILLIS = 300;
/** Who writes at most so much faster than sets are shipped would be kept up with, but for a moment in which something stood still. */
const NEARLY = 1.25;
const NEARLY_MILLIS_SHARE = 1 / 10;
/** Before that, how fast sets are shipped may be a burst. */
const STEADY_MILLIS = 2 * WINDOW_MILLIS;

/**
 * How long a pair stays in bitmap mode after its buffer ran over. A resynchronisation that starts while the application still writes faster
 * than the pair can be replicated ends in the next overload; all it does is take processor and disk from the application. So it starts when
 * the application writes at most a quarter as fast as sets were shipped since; or after 10 s, and after twice as long, up to a minute, each time
 * that this was too early. Where the application is hardly faster than the shipping it takes a tenth of these times.
 */
export class OverloadPause {
  readonly #millis: () => number;
  readonly #calmBytesPerSecond: ByteCount;
  #pauseMillis = FIRST_MILLIS;
  #begun = 0;
  #lastsMillis = 0;
  #until = 0;
  #windowStart = 0;
  #writtenBytes: ByteCount = 0;
  #shippedBytes: ByteCount = 0;
  /** The best of all windows since `begin`. */
  #shippedPerSecond: ByteCount = 0;
  #shippedSinceBegin: ByteCount = 0;
  /** The best average since `begin`. */
  #steadyPerSecond: ByteCount = 0;

  /** `millis`: a monotonic clock. `calmBytesPerSecond`: a rate at which nobody need wait, however slow the shipping was. */
  constructor(options: { readonly millis: () => number; readonly calmBytesPerSecond: ByteCount }) {
    this.#millis = options.millis;
    this.#calmBytesPerSecond = options.calmBytesPerSecond;
  }

  /** The buffer ran over. */
  begin(): void {
    const now = this.#millis();
    this.#begun = now;
    this.#lastsMillis = this.#pauseMillis;
    this.#until = now + this.#lastsMillis;
    this.#pauseMillis = Math.min(this.#pauseMillis * 2, LONGEST_MILLIS);
    this.#shippedPerSecond = 0;
    this.#shippedSinceBegin = 0;
    this.#steadyPerSecond = 0;
    this.#startWindow(now);
  }

  /** The pair has caught up: the next overload is a new one. */
  caughtUp(): void {
    this.#pauseMillis = FIRST_MILLIS;
  }

  /** The application wrote. */
  written(bytes: ByteCount): void {
    this.#writtenBytes += bytes;
  }

  /** The next hop has so much more. */
  shipped(bytes: ByteCount): void {
    this.#shippedBytes += bytes;
    this.#shippedSinceBegin += bytes;
  }

  /** Asked often, also when something else speaks against going on: it measures. */
  get isOver(): boolean {
    const now = this.#millis();
    const windowMillis = now - this.#windowStart;
    if (now < this.#until && windowMillis >= WINDOW_MILLIS) {
      const perSecond = (bytes: ByteCount): ByteCount => (bytes * 1000) / windowMillis;
      this.#shippedPerSecond = Math.max(this.#shippedPerSecond, perSecond(this.#shippedBytes));
      const millis = now - this.#begun;
      if (millis >= STEADY_MILLIS) this.#steadyPerSecond = Math.max(this.#steadyPerSecond, (this.#shippedSinceBegin * 1000) / millis);
      const written = perSecond(this.#writtenBytes);
      if (written <= Math.max(this.#calmBytesPerSecond, this.#shippedPerSecond / 4)) this.#until = now;
      else this.#until = this.#begun + this.#lastsMillis * (written <= this.#steadyPerSecond * NEARLY ? NEARLY_MILLIS_SHARE : 1);
      this.#startWindow(now);
    }
    return now >= this.#until;
  }

  #startWindow(now: number): void {
    this.#windowStart = now;
    this.#writtenBytes = 0;
    this.#shippedBytes = 0;
  }
}
