// SPDX-License-Identifier: Apache-2.0
import { isoFromMicros, type TimeMicros } from '@secondsite/units';

/**
 * This server's clocks. The wall clock says what time it is and may be set, forward or back; how long something is ago, and when it is due again,
 * comes from the steady one, which nobody sets.
 */
export class ServerClock {
  now(): TimeMicros {
    return Date.now() * 1000;
  }

  /** Microseconds since some moment; only differences mean something. */
  steadyMicros(): number {
    return Math.round(performance.now() * 1000);
  }

  /** When, by the wall clock as it is set now, the steady clock showed this. */
  timeOf(steadyMicros: number): TimeMicros {
    return this.now() - (this.steadyMicros() - steadyMicros);
  }

  iso(): string {
    return isoFromMicros(this.now());
  }
}
