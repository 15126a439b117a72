// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { PairFaults } from './pair-faults';
import { type WholeCause, WholeResync } from './whole-resync';

class Notes {
  millis = 0;
  isFull = false;
  readonly noted: (WholeCause | undefined)[] = [];
  readonly faults = new PairFaults();
  readonly whole = new WholeResync({
    cause: 'baseline', millis: () => this.millis, outcome: this.faults.of('pair-state/not-durable'),
    note: async (cause) => {
      if (this.isFull) throw new Error('no space left on device');
      this.noted.push(cause);
    },
  });

  async later(millis: number): Promise<void> {
    this.millis += millis;
    this.whole.pump();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the end of a resynchronisation of the whole volume', () => {
  it('is noted once', async () => {
    const notes = new Notes();
    notes.whole.end();
    for (let turn = 0; turn < 3; turn++) await notes.later(10_000);
    expect(notes.noted).toEqual([undefined]);
  });

  it('is noted when the disk has room again, and is a fault until then', async () => {
    const notes = new Notes();
    notes.isFull = true;
    notes.whole.end();
    await notes.later(1000);
    expect([notes.noted, notes.faults.first]).toEqual([[], { code: 'pair-state/not-durable', hint: 'no space left on device' }]);
    notes.isFull = false;
    await notes.later(10_000);
    expect([notes.noted, notes.faults.first]).toEqual([[undefined], undefined]);
  });

  it('does not take back what is needed since', async () => {
    const notes = new Notes();
    notes.isFull = true;
    notes.whole.end();
    await notes.later(1000);
    notes.whole.need('requested');
    notes.isFull = false;
    await notes.later(10_000);
    expect([notes.noted, notes.whole.cause]).toEqual([['requested'], 'requested']);
  });
});
