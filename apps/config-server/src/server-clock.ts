// SPDX-License-Identifier: Apache-2.0
import { isoFromMicros, type TimeMicros } from '@secondsite/units';

/** This server's wall clock. */
export class ServerClock {
  now(): TimeMicros {
    return Date.now() * 1000;
  }

  iso(): string {
    return isoFromMicros(this.now());
  }
}
