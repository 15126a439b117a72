// SPDX-License-Identifier: Apache-2.0
import { microsFromIso, type TimeMicros } from '@secondsite/units';

/** A time of a request or document, whose form its contract checked. */
export function timeOf(text: string): TimeMicros {
  return microsFromIso(text) as TimeMicros;
}
