// SPDX-License-Identifier: Apache-2.0
import { performance } from 'node:perf_hooks';
import { type TimeMicros, timeMicros } from '@secondsite/units';

const driftMillisMax = 2;
let originMillis = performance.timeOrigin;

/** The host's wall clock in microseconds: finer than Date.now() and never more than 2 ms away from it, even after the clock was set. */
export function hostTimeMicros(): TimeMicros {
  const wallMillis = Date.now();
  const elapsedMillis = performance.now();
  if (Math.abs(originMillis + elapsedMillis - wallMillis) > driftMillisMax) originMillis = wallMillis - elapsedMillis;
  return timeMicros(Math.round((originMillis + elapsedMillis) * 1000));
}
