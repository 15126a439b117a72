// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import type { MasterTargetTelemetry } from '@secondsite/contracts';
import { microsFromIso } from '@secondsite/units';
import { LiveStatus } from './live-status';

const way = { pairId: '00000000-0000-4000-8000-000000000001', volumeId: 'v', hostId: 'h', processServerId: 'ps', masterTargetId: 'mt' };
const pair = { pairId: way.pairId, epoch: 1, receivedSequence: 1, cacheBytes: 0, stage: 'differential-sync', green: true, journalBytes: 0, views: 0 } as const;
const target = (appliedSequence: number, more: Partial<MasterTargetTelemetry> = {}): MasterTargetTelemetry => ({
  role: 'master-target', componentId: 'mt', tenantId: 't', at: '2026-01-01T00:00:00Z', pairs: [{ ...pair, appliedSequence }], ...more,
});

/** Both clocks of a server go on together until the wall clock is set. */
class FakeClock {
  constructor(private micros = 1, private setBy = 0) {}

  now(): number {
    return this.micros + this.setBy;
  }

  steadyMicros(): number {
    return this.micros;
  }

  timeOf(steadyMicros: number): number {
    return steadyMicros + this.setBy;
  }

  goTo(micros: number): void {
    this.micros = micros;
  }

  setWallClock(byMicros: number): void {
    this.setBy += byMicros;
  }
}

describe('live status', () => {
  it('dates progress by this server\'s clock, and only when the target moved on', () => {
    const clock = new FakeClock(10);
    const live = new LiveStatus(clock);
    expect(live.progressAt(way.pairId, 5)).toBe(10);
    clock.goTo(20);
    live.observe(target(1));
    clock.goTo(30);
    live.observe(target(1));
    expect([live.progressAt(way.pairId, 5), live.readings(way).masterTarget?.seenAt]).toEqual([20, 30]);
    live.observe(target(2));
    expect(live.progressAt(way.pairId, 5)).toBe(30);
  });

  it.each([3_600_000_000, -3_600_000_000])('knows how long ago it heard somebody, and saw progress, when the wall clock is set by %d µs', (byMicros) => {
    const clock = new FakeClock(20);
    const live = new LiveStatus(clock);
    clock.goTo(50);
    live.observe(target(1));
    clock.setWallClock(byMicros);
    clock.goTo(90);
    const ago = [live.startedAt, live.seenAt('mt') ?? 0, live.readings(way).masterTarget?.seenAt ?? 0, live.progressAt(way.pairId, 0)].map((at) => clock.now() - at);
    expect(ago).toEqual([70, 40, 40, 40]);
  });

  it('takes the covered time from the newest of telemetry and change-set-applied, within the epoch of the target', () => {
    const live = new LiveStatus(new FakeClock());
    const told = (coveredTime: string) => live.observe({ ...target(1), pairs: [{ ...pair, appliedSequence: 1, coveredTime }] });
    const apply = (sequence: number, coveredTime: string, epoch = 1) => live.apply({ pairId: way.pairId, epoch, sequence, coveredTime, appliedAt: coveredTime });
    const covered = () => live.readings(way).masterTarget?.coveredTime;
    told('2026-01-01T00:00:01.000000Z');
    apply(2, '2026-01-01T00:00:02.000000Z');
    apply(1, '2026-01-01T00:00:00.500000Z');
    expect(covered()).toBe(microsFromIso('2026-01-01T00:00:02Z'));
    told('2026-01-01T00:00:03.000000Z');
    expect(covered()).toBe(microsFromIso('2026-01-01T00:00:03Z'));
    apply(1, '2026-01-01T00:00:09.000000Z', 2);
    expect(covered()).toBe(microsFromIso('2026-01-01T00:00:03Z'));
  });

  it('says when a component has a new address', () => {
    const live = new LiveStatus(new FakeClock());
    expect([live.observe(target(1)), live.observe(target(1, { url: 'https://a' })), live.observe(target(1, { url: 'https://a' }))]).toEqual([false, true, false]);
    expect(live.url('mt')).toBe('https://a');
  });

  it('does not take the figures of a volume for a pair it does not belong to any more', () => {
    const live = new LiveStatus(new FakeClock());
    const volume = {
      volumeId: 'v', pairId: '00000000-0000-4000-8000-000000000002', nbdUris: [], mode: 'data', epoch: 1, sequence: 1, heldBytes: 1, dirtyBytes: 0, writesPerSecond: 0,
      bytesPerSecond: 0, flowControlled: false,
    } as const;
    live.observe({ role: 'agent', componentId: 'h', tenantId: 't', at: '2026-01-01T00:00:00Z', volumes: [{ ...volume, nbdUris: [] }] });
    expect(live.readings(way).agent).toBeUndefined();
  });
});
