// SPDX-License-Identifier: Apache-2.0
import { expect } from '@jest/globals';
import { type Random, randomBelow } from '@secondsite/durable-storage/testing';
import type { TargetPair } from '../pair/target-pair';
import type { PairDriver } from './pair-driver';

/** I3 to I5 at this moment: replica, offered instants and views against the remembered images. */
export async function expectTruth(driver: PairDriver, pair: TargetPair, { random, views }: { random: Random; views: number }): Promise<void> {
  const { history } = driver;
  await pair.idle();
  const points = pair.points();
  const status = pair.status();
  expect({ green: status.green, epoch: status.epoch }).toEqual({ green: history.green, epoch: history.sets.at(-1)?.epoch });
  if (history.green) expect(points.latest).toBe(history.time);
  const offered = history.interestingTimes().filter((time) => points.isOffered(time));
  for (const time of history.interestingTimes()) {
    if (points.isOffered(time)) {
      if (!history.at(time)?.green) throw new Error(`the instant ${time} is offered and not exact`);
    } else if (history.at(time)?.green && history.at(time)?.time === time) throw new Error(`the instant ${time} is missing`);
  }
  for (let view = 0; view < views && offered.length > 0; view++) {
    const time = view === 0 ? (offered.at(-1) as number) : (offered[randomBelow(random, offered.length)] as number);
    await expectView(driver, pair, time);
  }
}

export async function expectView(driver: PairDriver, pair: TargetPair, time: number): Promise<void> {
  const reader = await pair.openReader(time);
  const seen = Buffer.alloc(driver.history.volumeBytes);
  await reader.read(seen, 0);
  pair.closeReader(reader);
  const { image } = driver.history.at(time) as { image: Uint8Array };
  if (!seen.equals(image)) throw new Error(`the view of ${time} differs at byte ${seen.findIndex((byte, at) => byte !== image[at])}`);
}
