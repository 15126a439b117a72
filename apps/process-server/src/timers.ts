// SPDX-License-Identifier: Apache-2.0

/** Port: time that passes, for pauses and time limits. */
export interface Timers {
  /** Milliseconds, monotonic. */
  millis(): number;
  /** Calls `run` once after so many milliseconds, unless the function it returns was called before. */
  after(millis: number, run: () => void): () => void;
}

/** Those of this process. */
export const processTimers: Timers = {
  millis: () => performance.now(),
  after: (millis, run) => {
    const timer = setTimeout(run, millis);
    return () => clearTimeout(timer);
  },
};
