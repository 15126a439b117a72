// SPDX-License-Identifier: Apache-2.0
import { beforeEach, describe, expect, it } from '@jest/globals';
import { HopRecorder, type Passage } from './hop-recorder';

const second = 1_000_000;
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
const set = (sequence: number) => ({ epoch: 1, sequence, storedBytes: 100, traceparent });
const end = { forwarded: true, transferMicros: 0.2 * second, bytes: 100, wireBytes: 40 };

describe('the hops of a process server', () => {
  let now: number;
  let hops: HopRecorder;
  let traced: Passage[];
  beforeEach(() => {
    now = 100 * second;
    traced = [];
    hops = new HopRecorder(() => now, (passage) => traced.push(passage));
  });

  it('measures a set from its arrival until it is sent, its transfer alone, and its answer', () => {
    hops.received(set(1));
    now += second;
    hops.sending(set(1));
    now += 0.5 * second; // 0.3 s of it before it went out, for compression.
    hops.sent(set(1), end);
    hops.answered(set(1));
    expect(hops.telemetry(undefined)).toEqual({ stays: { answerSeconds: 1.5, holdSeconds: 1.3, transferSeconds: 0.2 }, bytesPerSecond: 100 / 1.5, wireBytesPerSecond: 40 / 1.5 });
  });

  it('counts what is not answered: the age of the set that is being sent, and of the one that waits longest', () => {
    hops.sending(set(1));
    now += 7 * second;
    expect(hops.telemetry(now - 60 * second).stays).toMatchObject({ holdSeconds: 60, transferSeconds: 7 });
    hops.sent(set(1), { ...end, forwarded: false });
    expect(hops.telemetry(undefined)).toMatchObject({ stays: { holdSeconds: 0, transferSeconds: 0 }, bytesPerSecond: 0 });
  });

  it('keeps the first time of a set that comes again, and tells its hops', () => {
    hops.received(set(1));
    now += second;
    hops.spooled(set(1));
    hops.received(set(1));
    now += second;
    hops.sent(set(1), end);
    expect(hops.find('p', {})?.hops.map(({ hop }) => hop)).toEqual(['spool-durable', 'forwarded']);
    expect(hops.telemetry(undefined).stays?.holdSeconds).toBe(1.8);
  });

  const tracedSequences = () => traced.map(({ sequence }) => sequence);

  it('hands a sampled set over when it has ended, and one that is wanted late at once if it has ended already', () => {
    hops.received({ ...set(1), traceparent: traceparent.replace(/00$/, '01') });
    hops.received(set(2));
    hops.received(set(3));
    for (const sequence of [1, 2, 3]) hops.sent(set(sequence), end);
    expect(tracedSequences()).toEqual([1]);
    hops.traceLate(set(3));
    hops.traceLate(set(3));
    hops.traceLate(set(99));
    expect(tracedSequences()).toEqual([1, 3]);
  });

  it('waits for the end of a set that is wanted late, however many come meanwhile', () => {
    hops.received(set(1));
    hops.spooled(set(1));
    hops.traceLate(set(1));
    for (let sequence = 2; sequence <= 1000; sequence++) hops.received(set(sequence));
    hops.sent(set(1), { ...end, forwarded: false });
    expect(tracedSequences()).toEqual([]);
    hops.sent(set(1), end);
    expect(traced).toMatchObject([{ sequence: 1, receivedAt: 100 * second, spoolDurableAt: 100 * second, forwardedAt: now }]);
  });

  it('has room for new traced sets however many never end', () => {
    for (let sequence = 1; sequence <= 600; sequence++) {
      hops.received(set(sequence));
      hops.traceLate(set(sequence));
    }
    for (let sequence = 601; sequence <= 900; sequence++) hops.received(set(sequence));
    hops.sent(set(600), end);
    hops.sent(set(1), end);
    expect(tracedSequences()).toEqual([600]);
  });

  it('hands over a set that the target refuses, as refused', () => {
    hops.received({ ...set(1), traceparent: traceparent.replace(/00$/, '01') });
    hops.sent(set(1), { ...end, forwarded: false });
    expect(tracedSequences()).toEqual([]);
    hops.refused(set(1));
    expect(traced).toMatchObject([{ sequence: 1, refusedAt: now, forwardedAt: undefined }]);
    hops.sent(set(1), end); // From disk, after damage in memory.
    expect(tracedSequences()).toEqual([1]);
  });
});
