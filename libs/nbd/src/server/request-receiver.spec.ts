// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeRequest, type RequestHeader } from '../codec/request-codec';
import { command } from '../protocol';
import { type PayloadPlan, RequestReceiver, type RequestSink } from './request-receiver';

const sharedBytes = 96 * 1024;

/** Records requests; refuses to go on as often as `stops` says. */
class RecordingSink implements RequestSink {
  readonly seen: { offset: number; payload: Buffer }[] = [];
  readonly violations: string[] = [];
  heldBytes = 0;
  constructor(private readonly stops: boolean[] = []) {}
  ready(): boolean {
    return !(this.stops.pop() ?? false);
  }
  payloadPlan(header: Readonly<RequestHeader>): PayloadPlan {
    if (header.type !== command.write) return 'none';
    if (header.length > 1024 * 1024) return 'violation';
    return header.flags === 9 ? 'skip' : 'take';
  }
  takeBuffer(bytes: number): Buffer | undefined {
    if (this.stops.pop()) return undefined;
    this.heldBytes += bytes;
    return Buffer.allocUnsafeSlow(bytes);
  }
  giveBuffer(_buffer: Buffer, bytes: number): void {
    this.heldBytes -= bytes;
  }
  request(header: Readonly<RequestHeader>, parts: readonly Uint8Array[]): void {
    this.seen.push({ offset: header.offset, payload: Buffer.concat(parts) });
  }
  skipped(header: Readonly<RequestHeader>): void {
    this.seen.push({ offset: header.offset, payload: Buffer.alloc(0) });
  }
  violation(reason: string): void {
    this.violations.push(reason);
  }
}

interface Sent {
  readonly type: number;
  readonly skip: boolean;
  readonly length: number;
}

function wire(sent: readonly Sent[]): { stream: Buffer; expected: { offset: number; payload: Buffer }[] } {
  const pieces: Buffer[] = [];
  const expected: { offset: number; payload: Buffer }[] = [];
  sent.forEach((request, index) => {
    const header = Buffer.alloc(28);
    encodeRequest(header, 0, { flags: request.skip ? 9 : 0, type: request.type, cookieHigh: 0, cookieLow: index, offset: index, length: request.length });
    const payload = Buffer.alloc(request.type === command.write ? request.length : 0, index + 1);
    pieces.push(header, payload);
    expected.push({ offset: index, payload: request.skip && request.type === command.write ? Buffer.alloc(0) : payload });
  });
  return { stream: Buffer.concat(pieces), expected };
}

/** Plays the kernel: fills the memory the receiver names, in reads of the given sizes. */
function play(receiver: RequestReceiver, stream: Buffer, reads: readonly number[]): void {
  const shared = new Uint8Array(sharedBytes);
  let target = receiver.nextBuffer(shared);
  let at = 0;
  for (let turn = 0; at < stream.length; turn += 1) {
    const count = Math.min(reads[turn % reads.length] as number, target.length, stream.length - at);
    target.set(stream.subarray(at, at + count));
    at += count;
    let goOn = receiver.receive(target, count);
    shared.fill(0xee);
    for (let tries = 0; !goOn && tries < 50; tries += 1) goOn = receiver.resume();
    target = receiver.nextBuffer(shared);
  }
}

const sentRequests = fc.array(
  fc.record({ type: fc.constantFrom(command.read, command.write, command.write), skip: fc.boolean(), length: fc.oneof(fc.nat(100), fc.nat(70_000), fc.nat(400_000)) }),
  { minLength: 1, maxLength: 8 },
);

describe('the request receiver', () => {
  it('hands on the same requests however the stream is cut and however often the sink is not ready', () => {
    const reads = fc.array(fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: sharedBytes })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(sentRequests, reads, fc.array(fc.boolean(), { maxLength: 20 }), (sent, sizes, stops) => {
        const { stream, expected } = wire(sent);
        const sink = new RecordingSink(stops);
        play(new RequestReceiver(sink), stream, [...sizes, 50_000]);
        expect(sink.seen.map((request) => request.offset)).toEqual(expected.map((request) => request.offset));
        sink.seen.forEach((request, index) => expect(request.payload.equals(expected[index]?.payload as Buffer)).toBe(true));
        expect(sink.heldBytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('stops at the first thing that is no request and at a payload that is too long', () => {
    for (const spoil of ['magic', 'length']) {
      const { stream } = wire([{ type: command.write, skip: false, length: 10 }, { type: command.write, skip: false, length: 10 }]);
      if (spoil === 'magic') stream[38] = 1;
      else stream.writeUInt32BE(0xffffffff, 38 + 24);
      const sink = new RecordingSink();
      const receiver = new RequestReceiver(sink);
      expect(receiver.receive(stream, stream.length)).toBe(false);
      expect(sink.seen).toHaveLength(1);
      expect(sink.violations).toHaveLength(1);
    }
  });

  it('gives back the memory of a half-received payload when it is stopped', () => {
    const { stream } = wire([{ type: command.write, skip: false, length: 1000 }]);
    const sink = new RecordingSink();
    const receiver = new RequestReceiver(sink);
    receiver.receive(stream, 500);
    expect(receiver.midRequest).toBe(true);
    expect(sink.heldBytes).toBe(1000);
    receiver.stop();
    expect(sink.heldBytes).toBe(0);
  });
});
