// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from 'node:timers/promises';

/** Waits for a condition, asking every few milliseconds; fails with `what` when the limit passes. */
export async function waitUntil(what: string, condition: () => boolean, limitMillis = 10_000): Promise<void> {
  const deadline = performance.now() + limitMillis;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMillis} ms in vain: ${what}`);
    await delay(3);
  }
}
