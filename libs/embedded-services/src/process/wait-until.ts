// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** What is waited for, in words. */
  readonly what: string;
  readonly timeoutMillis: number;
  readonly intervalMillis?: number;
}

/** Asks until there is an answer other than undefined or false. Throws OperationError `wait/timeout`. */
export async function waitUntil<Result>(ask: () => Promise<Result | undefined | false> | Result | undefined | false, options: WaitOptions): Promise<Result> {
  const deadline = performance.now() + options.timeoutMillis;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() >= deadline) throw timedOut(options);
    await delay(options.intervalMillis ?? 20);
  }
}

function timedOut(options: WaitOptions): OperationError {
  return new OperationError({
    code: 'wait/timeout', operation: `wait for ${options.what}`, context: { timeoutMillis: options.timeoutMillis }, retryable: true,
    hint: 'It did not happen in time; see the log of the service.',
  });
}
