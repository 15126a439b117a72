// SPDX-License-Identifier: Apache-2.0
// The process that freezes and thaws. Its input is the order, then `thaw`; its end, for whatever reason, means that the agent is gone.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { freezerOf } from './freezer-of';
import { type FreezeOrder, keepFrozen, type KeeperReport, type ThawCause } from './keep-frozen';

const THAW_PAUSE_MILLIS = 250;
const THAW_PAUSE_MILLIS_MAX = 10_000;

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  const ended = Promise.withResolvers<ThawCause>();
  lines.on('close', () => ended.resolve('agent-gone'));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => ended.resolve('agent-gone'));
  process.stdout.on('error', () => undefined); // Nobody listens any more; what is frozen is thawed all the same.
  const [text] = (await Promise.race([once(lines, 'line'), ended.promise.then(() => [])])) as [string?];
  if (text === undefined) return;
  const order = JSON.parse(text) as FreezeOrder;
  lines.on('line', () => ended.resolve('asked'));
  const timer = setTimeout(() => ended.resolve('time-limit'), order.limitMillis);
  const report = (told: KeeperReport): void => void process.stdout.write(`${JSON.stringify(told)}\n`);
  await keepFrozen(order, {
    freezerOf: (hook) => freezerOf(hook, order.ownFolder), ended: ended.promise, report, millis: () => performance.now(), pause: (tried) => delay(Math.min(tried * THAW_PAUSE_MILLIS, THAW_PAUSE_MILLIS_MAX)),
  });
  clearTimeout(timer);
  lines.close();
}

void main().finally(() => process.stdin.destroy());
