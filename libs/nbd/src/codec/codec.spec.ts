// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeContextReply,
  decodeContextRequest,
  decodeGreeting,
  decodeInfoReply,
  decodeInfoRequest,
  decodeListEntry,
  decodeOptionHeader,
  decodeOptionReplyHeader,
  encodeContextReply,
  encodeContextRequest,
  encodeGreeting,
  encodeInfoReply,
  encodeInfoRequest,
  encodeListEntry,
  encodeOption,
  encodeOptionReply,
} from './option-codec';
import { decodeErrorPayload, decodeHolePayload, decodeReplyHeader, decodeStatusPayload, encodeChunkHeader, encodeErrorChunk, encodeHoleChunk, encodeSimpleReply, encodeStatusChunk } from './reply-codec';
import { decodeRequest, emptyRequestHeader, encodeRequest } from './request-codec';

const u32 = fc.nat(0xffffffff);
const u16 = fc.nat(0xffff);
const text = fc.string({ unit: 'binary', maxLength: 200 }).filter((value) => value.isWellFormed());
const requests = fc.record({ flags: u16, type: u16, cookieHigh: u32, cookieLow: u32, offset: fc.maxSafeNat(), length: u32 });

describe('the request codec', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(requests, fc.nat(40), (request, at) => {
        const bytes = new Uint8Array(at + 28);
        encodeRequest(bytes, at, request);
        const read = emptyRequestHeader();
        expect(decodeRequest(bytes, at, read)).toBe(true);
        expect(read).toEqual(request);
      }),
    );
  });

  it('takes every changed bit for another request or for no request', () => {
    fc.assert(
      fc.property(requests, fc.nat(28 * 8 - 1), (request, bit) => {
        const bytes = new Uint8Array(28);
        encodeRequest(bytes, 0, request);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        const read = emptyRequestHeader();
        if (decodeRequest(bytes, 0, read)) {
          expect(bit).toBeGreaterThanOrEqual(32);
          expect(read).not.toEqual(request);
        } else expect(bit).toBeLessThan(32);
      }),
    );
  });

  it('reads an offset past 2^53 as infinite, never as a smaller one', () => {
    const bytes = new Uint8Array(28).fill(255);
    encodeRequest(bytes, 0, emptyRequestHeader());
    bytes.fill(255, 16, 24);
    const read = emptyRequestHeader();
    decodeRequest(bytes, 0, read);
    expect(read.offset).toBe(Infinity);
  });
});

describe('the reply codec', () => {
  const cookie = fc.record({ cookieHigh: u32, cookieLow: u32 });

  it('reads the headers it wrote', () => {
    fc.assert(
      fc.property(cookie, u32, u16, (id, number, short) => {
        const simple = new Uint8Array(16);
        encodeSimpleReply(simple, 0, { error: number, ...id });
        expect(decodeReplyHeader(simple, 0)).toEqual({ kind: 'simple', error: number, ...id });
        const chunk = new Uint8Array(20);
        encodeChunkHeader(chunk, 0, { flags: short, type: short, length: number, ...id });
        expect(decodeReplyHeader(chunk, 0)).toEqual({ kind: 'chunk', flags: short, type: short, length: number, ...id });
      }),
    );
  });

  it('reads the chunks it wrote and refuses them cut short', () => {
    const extents = fc.array(fc.record({ length: fc.integer({ min: 1, max: 0xffffffff }), flags: u32 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(cookie, extents, u32, fc.maxSafeNat(), (id, list, number, offset) => {
        const status = encodeStatusChunk(id, { contextId: number, extents: list }).subarray(20);
        expect(decodeStatusPayload(status)).toEqual({ contextId: number, extents: list });
        expect(decodeStatusPayload(status.subarray(0, -1))).toBeUndefined();
        const hole = encodeHoleChunk(id, { offset, length: number, done: true }).subarray(20);
        expect(decodeHolePayload(hole)).toEqual({ offset, length: number });
        expect(decodeHolePayload(hole.subarray(1))).toBeUndefined();
        const failure = encodeErrorChunk(id, number).subarray(20);
        expect(decodeErrorPayload(failure)).toEqual({ error: number, text: '' });
        expect(decodeErrorPayload(failure.subarray(1))).toBeUndefined();
      }),
    );
  });

  it('does not believe an error text longer than its chunk', () => {
    expect(decodeErrorPayload(Buffer.from([0, 0, 0, 5, 0, 9, 65]))).toBeUndefined();
  });
});

describe('the option codec', () => {
  it('reads what it wrote', () => {
    fc.assert(
      fc.property(text, fc.array(u16, { maxLength: 20 }), fc.array(text, { maxLength: 5 }), u32, (name, infos, queries, number) => {
        expect(decodeInfoRequest(encodeInfoRequest({ name, infos }))).toEqual({ name, infos });
        expect(decodeContextRequest(encodeContextRequest({ name, queries }))).toEqual({ name, queries });
        expect(decodeListEntry(encodeListEntry({ name, description: name }))).toEqual({ name, description: name });
        expect(decodeInfoReply(encodeInfoReply({ kind: 'name', text: name }))).toEqual({ kind: 'name', text: name });
        const sizes = { kind: 'block-size', minimum: 1, preferred: 4096, maximum: number } as const;
        expect(decodeInfoReply(encodeInfoReply(sizes))).toEqual(sizes);
        const exported = { kind: 'export', sizeBytes: number * 4096, flags: 3 } as const;
        expect(decodeInfoReply(encodeInfoReply(exported))).toEqual(exported);
        expect(decodeContextReply(encodeContextReply({ contextId: number, name: `a${name}` }))).toEqual({ contextId: number, name: `a${name}` });
        expect(decodeOptionHeader(encodeOption(number, Buffer.from(name)))).toEqual({ option: number, length: Buffer.byteLength(name) });
        expect(decodeOptionReplyHeader(encodeOptionReply({ option: 1, type: number }))).toEqual({ option: 1, type: number, length: 0 });
      }),
    );
  });

  it('refuses an info or context request with a byte too few or too many, and any lying count', () => {
    fc.assert(
      fc.property(text, fc.array(text, { minLength: 1, maxLength: 5 }), (name, queries) => {
        const context = encodeContextRequest({ name, queries });
        expect(decodeContextRequest(context.subarray(0, -1))).toBeUndefined();
        expect(decodeContextRequest(Buffer.concat([context, Buffer.alloc(1)]))).toBeUndefined();
        const info = encodeInfoRequest({ name, infos: [1, 2, 3] });
        expect(decodeInfoRequest(info.subarray(0, -1))).toBeUndefined();
        info.writeUInt16BE(4, info.length - 8);
        expect(decodeInfoRequest(info)).toBeUndefined();
      }),
    );
  });

  it('never throws for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (raw) => {
        const bytes = Buffer.from(raw);
        for (const decode of [decodeInfoRequest, decodeContextRequest, decodeInfoReply, decodeListEntry, decodeContextReply, decodeOptionHeader, decodeOptionReplyHeader]) decode(bytes);
      }),
    );
  });

  it('knows its greeting from another', () => {
    expect(decodeGreeting(encodeGreeting(3))).toBe(3);
    const other = encodeGreeting(3);
    other[9] = 0;
    expect(decodeGreeting(other)).toBeUndefined();
  });
});
