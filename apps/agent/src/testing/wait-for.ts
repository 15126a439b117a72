// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';

/** Waits until the condition holds; throws with `what` after the limit. */
export async function waitFor(what: string, condition: () => boolean | Promise<boolean>, millisMax = 20_000): Promise<void> {
  const end = performance.now() + millisMax;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`did not happen within ${millisMax} ms: ${what}`);
    await delay(10);
  }
}
