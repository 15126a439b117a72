// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { MIB } from '@secondsite/units';
import { ReadAhead } from './read-ahead';

const bytesMax = 160 * MIB;

describe('how far a resynchronisation reads ahead', () => {
  let now: number;
  let memory: { heldBytes: number; freeBytes: number };
  let readAhead: ReadAhead;
  beforeEach(() => {
    now = 7;
    memory = { heldBytes: 0, freeBytes: bytesMax };
    readAhead = new ReadAhead({ bytesMax, regionBytes: MIB, millis: () => now, memory: () => memory });
  });

  const most = (): number => {
    let mebibytes = 0;
    while (readAhead.may((mebibytes + 1) * MIB)) mebibytes += 1;
    return mebibytes;
  };

  /** So much a second, asked ten times a second. */
  function write(mebibytesPerSecond: number, seconds: number): void {
    for (let step = 0; step < seconds * 10; step++) {
      now += 100;
      readAhead.written((mebibytesPerSecond / 10) * MIB);
      readAhead.may(0);
    }
  }

  it('is half of the memory at most, less what waits to be shipped, and leaves a quarter free', () => {
    expect(most()).toBe(80);
    memory = { heldBytes: 30 * MIB, freeBytes: bytesMax };
    expect(most()).toBe(50);
    memory = { heldBytes: 0, freeBytes: 60 * MIB };
    expect(most()).toBe(20);
  });

  it('gets less by what the application wrote lately, down to a quarter, and all of it again when it stops', () => {
    write(20, 3);
    expect(most()).toBeGreaterThanOrEqual(60);
    expect(most()).toBeLessThanOrEqual(70);
    write(200, 3);
    expect(most()).toBe(20);
    now += 1100;
    expect(most()).toBe(80);
  });

  it('never falls below two regions, of which those of a large volume are large', () => {
    readAhead = new ReadAhead({ bytesMax, regionBytes: 32 * MIB, millis: () => now, memory: () => memory });
    write(200, 3);
    expect(most()).toBe(64);
  });
});
