// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseRequestHead } from './http-head';

const parse = (text: string) => parseRequestHead(Buffer.from(text, 'latin1'));
const whole = 'PUT /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nX-Two: 1\r\nx-two: 2\r\n\r\n';

describe('a request head', () => {
  it('is read with its headers, and the body begins behind it', () => {
    expect(parse(`${whole}body`)).toEqual({
      kind: 'head', headBytes: whole.length,
      head: { method: 'PUT', path: '/v1/x', headers: new Map([['host', 'a'], ['content-length', '12'], ['x-two', '1, 2']]), contentLength: 12, chunked: false, keepAlive: true },
    });
  });

  it('is incomplete until its last byte', () => {
    for (let length = 0; length < whole.length; length++) expect(parse(whole.slice(0, length))).toEqual({ kind: 'incomplete' });
  });

  it('ends the connection when the peer says so or speaks HTTP/1.0', () => {
    expect(parse('GET / HTTP/1.1\r\nConnection: Close\r\n\r\n')).toMatchObject({ head: { keepAlive: false } });
    expect(parse('GET / HTTP/1.0\r\n\r\n')).toMatchObject({ head: { keepAlive: false, contentLength: undefined } });
  });

  it.each([
    ['other protocols', '\x16\x03\x01'],
    ['a later version', 'GET / HTTP/2.0\r\n\r\n'],
    ['spaces in the path', 'GET /a b HTTP/1.1\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n'],
    ['a bare line feed', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
    ['a zero byte', 'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n'],
    ['two lengths', 'PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
    ['a signed length', 'PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n'],
    ['a length beside chunks', 'PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ])('is refused with %s', (_what, text) => {
    expect(parse(text)).toMatchObject({ kind: 'refused', status: 400 });
  });

  it('is refused when it has no end', () => {
    expect(parse(`GET / HTTP/1.1\r\nX: ${'y'.repeat(9000)}`)).toMatchObject({ kind: 'refused', status: 431 });
  });

  it('never throws, whatever comes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(whole.length), (bytes, at) => {
      const mutated = Buffer.concat([Buffer.from(whole.slice(0, at), 'latin1'), bytes, Buffer.from(whole.slice(at), 'latin1')]);
      expect(['head', 'incomplete', 'refused']).toContain(parseRequestHead(mutated).kind);
    }));
  });
});
