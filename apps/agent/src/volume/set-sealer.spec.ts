// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { MIB } from '@secondsite/units';
import { BufferBudget } from './buffer-budget';
import { ChangeBuffer } from './change-buffer';
import type { ChangeSetShipper } from './change-set-shipper';
import { ChangeStream } from './change-stream';
import { SetSealer } from './set-sealer';
import { StreamTimes } from './stream-times';

const pairId = '0b6c1a3e-5a1f-4b52-9d1e-1f2a3b4c5d6e';

describe('what was read for a resynchronisation', () => {
  it('goes out before its set is full only when nothing is on the way, and when it is worth a set', () => {
    const shipped: number[] = [];
    const millis = (): number => 0;
    const buffer = new ChangeBuffer({ budget: new BufferBudget({ shared: BufferBudget.createShared(), bytesMax: 64 * MIB }) });
    const clock = new StreamTimes(() => 1);
    const stream = new ChangeStream({ pairId, buffer, clock, millis, ship: (set) => shipped.push(set.header.sequence), newTraceparent: () => undefined });
    const shipper = { pendingSets: 0 };
    const sealer = new SetSealer({ stream, shipper: shipper as ChangeSetShipper, clock, millis });
    const readOn = (): void => {
      stream.makeRoom(MIB);
      stream.appendBytes({ kind: 'resync-write', offset: 0 }, [Buffer.alloc(MIB, 1)]);
      sealer.read();
    };
    stream.begin(1);
    for (const expected of [[], [], [1]]) {
      readOn();
      expect(shipped).toEqual(expected);
    }
    shipper.pendingSets = 1;
    for (let read = 0; read < 4; read++) readOn();
    expect(shipped).toEqual([1]);
    shipper.pendingSets = 0;
    sealer.read();
    expect(shipped).toEqual([1, 2]);
  });
});
