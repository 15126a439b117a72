// SPDX-License-Identifier: Apache-2.0
// NBD request header, transmission phase: magic u32, flags u16, type u16, cookie u64, offset u64, length u32; big endian.
import { requestMagic } from '../protocol';

export const requestHeaderBytes = 28;

/** The cookie is kept as two halves, because it is only ever echoed and a bigint per request costs time. */
export interface RequestHeader {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  /** Infinity when the wire holds more than a double holds exactly; no device is that large. */
  offset: number;
  length: number;
}

export function emptyRequestHeader(): RequestHeader {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, offset: 0, length: 0 };
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Infinity above Number.MAX_SAFE_INTEGER. */
export function readUint64(bytes: Uint8Array, at: number): number {
  const high = readUint32(bytes, at);
  return high > 0x1fffff ? Infinity : high * 0x1_0000_0000 + readUint32(bytes, at + 4);
}

/** `value` is a safe whole number. */
export function writeUint64(bytes: Uint8Array, at: number, value: number): void {
  writeUint32(bytes, at, Math.floor(value / 0x1_0000_0000));
  writeUint32(bytes, at + 4, value % 0x1_0000_0000);
}

/** Fills `into` from 28 bytes at `at`. False, with `into` untouched, when they do not start with the request magic. */
export function decodeRequest(bytes: Uint8Array, at: number, into: RequestHeader): boolean {
  if (readUint32(bytes, at) !== requestMagic) return false;
  into.flags = readUint16(bytes, at + 4);
  into.type = readUint16(bytes, at + 6);
  into.cookieHigh = readUint32(bytes, at + 8);
  into.cookieLow = readUint32(bytes, at + 12);
  into.offset = readUint64(bytes, at + 16);
  into.length = readUint32(bytes, at + 24);
  return true;
}

/** Writes 28 bytes at `at`. */
export function encodeRequest(bytes: Uint8Array, at: number, header: Readonly<RequestHeader>): void {
  writeUint32(bytes, at, requestMagic);
  writeUint16(bytes, at + 4, header.flags);
  writeUint16(bytes, at + 6, header.type);
  writeUint32(bytes, at + 8, header.cookieHigh);
  writeUint32(bytes, at + 12, header.cookieLow);
  writeUint64(bytes, at + 16, header.offset);
  writeUint32(bytes, at + 24, header.length);
}
