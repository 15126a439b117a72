// SPDX-License-Identifier: Apache-2.0
/** Waits for a condition, looking every few milliseconds; throws with its name after the time limit. */
export async function waitUntil(what: string, condition: () => boolean | Promise<boolean>, millisMax = 10_000): Promise<void> {
  const end = Date.now() + millisMax;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${millisMax} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
