// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';
import { OperationError } from '@secondsite/units';

const pollMillis = 10;

export interface Wait<T> {
  /** Asked every 10 ms until it gives something else than undefined. A throw ends the wait. */
  readonly probe: () => Promise<T | undefined> | T | undefined;
  readonly timeLimitMillis: number;
  readonly operation: string;
  readonly hint: string;
}

/** The first value the probe gives; fails with `qemu/time-limit` when none came in time. */
export async function waitUntil<T>(wait: Wait<T>): Promise<T> {
  const deadlineMillis = performance.now() + wait.timeLimitMillis;
  for (;;) {
    const value = await wait.probe();
    if (value !== undefined) return value;
    if (performance.now() > deadlineMillis) throw timeLimitError(wait);
    await delay(pollMillis);
  }
}

/** The failure of anything in this library that did not happen in time. */
export function timeLimitError(limit: { operation: string; timeLimitMillis: number; hint: string }): OperationError {
  const { operation, timeLimitMillis, hint } = limit;
  return new OperationError({ code: 'qemu/time-limit', operation, context: { timeLimitMillis }, retryable: true, hint });
}
