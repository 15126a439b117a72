// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { ResyncProgress } from './resync-progress';

const nothing = { comparedBlocks: 0, sentBlocks: 0, skippedBlocks: 0 };

describe('progress of a resynchronisation', () => {
  it('tells what is done, the rate of the last half minute, and when it will be over at that rate', () => {
    let millis = 0;
    const progress = new ResyncProgress({ millis: () => millis, totalBytes: 1000 });
    expect(progress.reading(1000, nothing)).toEqual({ doneBytes: 0, totalBytes: 1000 });
    let left = 1000;
    const goOn = (seconds: number, bytesPerSecond: number) => {
      let reading = progress.reading(left, nothing);
      for (let second = 0; second < seconds; second++) {
        millis += 1000;
        left -= bytesPerSecond;
        reading = progress.reading(left, nothing);
      }
      return reading;
    };
    expect(goOn(10, 10)).toEqual({ doneBytes: 100, totalBytes: 1000, bytesPerSecond: 10, finishSeconds: 90 });
    expect(goOn(40, 2)).toMatchObject({ doneBytes: 180, bytesPerSecond: 2, finishSeconds: 410 });
  });

  it('forecasts no end while nothing moves, and counts what has to be read in addition', () => {
    let millis = 0;
    const progress = new ResyncProgress({ millis: () => millis, totalBytes: 100 });
    for (; millis < 60_000; millis += 1000) progress.reading(50, nothing);
    expect(progress.reading(50, nothing)).toEqual({ doneBytes: 50, totalBytes: 100 });
    expect(progress.reading(50, { comparedBlocks: 9, sentBlocks: 2, skippedBlocks: 7 })).toEqual({ doneBytes: 50, totalBytes: 100, blocks: { compared: 9, sent: 2, skipped: 7 } });
    expect(progress.reading(170, nothing)).toEqual({ doneBytes: 0, totalBytes: 170 });
  });
});
