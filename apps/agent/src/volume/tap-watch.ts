// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';

/** What is known about a tap that can be interrupted without its volume. */
export interface TapWatch {
  readonly attached: boolean;
  /** Every change acknowledged up to this time was seen by the tap. */
  readonly provenUntil: TimeMicros;
  /** It was proven a moment ago. */
  readonly isProven: boolean;
}
