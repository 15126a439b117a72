// SPDX-License-Identifier: Apache-2.0
// NBD replies, transmission phase. Simple: magic, error u32, cookie u64. Structured chunk: magic, flags u16, type u16, cookie u64,
// length u32, then `length` bytes whose shape depends on the type. Big endian.
import { chunkFlag, chunkType, simpleReplyMagic, structuredReplyMagic } from '../protocol';
import { readUint16, readUint32, readUint64, writeUint16, writeUint32, writeUint64 } from './request-codec';

export const simpleReplyBytes = 16;
export const chunkHeaderBytes = 20;

export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

export interface ChunkHeader extends Cookie {
  readonly flags: number;
  readonly type: number;
  readonly length: number;
}

export type ReplyHeader = ({ readonly kind: 'simple'; readonly error: number } & Cookie) | ({ readonly kind: 'chunk' } & ChunkHeader);

/** One extent of a block-status reply, with the context's own flags. */
export interface StatusExtent {
  readonly length: number;
  readonly flags: number;
}

/** Writes 16 bytes. */
export function encodeSimpleReply(bytes: Uint8Array, at: number, reply: Cookie & { readonly error: number }): void {
  writeUint32(bytes, at, simpleReplyMagic);
  writeUint32(bytes, at + 4, reply.error);
  writeUint32(bytes, at + 8, reply.cookieHigh);
  writeUint32(bytes, at + 12, reply.cookieLow);
}

/** Writes 20 bytes; the caller adds the `length` bytes that follow. */
export function encodeChunkHeader(bytes: Uint8Array, at: number, header: ChunkHeader): void {
  writeUint32(bytes, at, structuredReplyMagic);
  writeUint16(bytes, at + 4, header.flags);
  writeUint16(bytes, at + 6, header.type);
  writeUint32(bytes, at + 8, header.cookieHigh);
  writeUint32(bytes, at + 12, header.cookieLow);
  writeUint32(bytes, at + 16, header.length);
}

/** How many bytes at `at` the header needs: 16, 20, or undefined when no reply starts there. Needs 4 bytes. */
export function replyHeaderBytes(bytes: Uint8Array, at: number): number | undefined {
  const magic = readUint32(bytes, at);
  if (magic === simpleReplyMagic) return simpleReplyBytes;
  return magic === structuredReplyMagic ? chunkHeaderBytes : undefined;
}

/** Reads a header whose size replyHeaderBytes told. Undefined when no reply starts there. */
export function decodeReplyHeader(bytes: Uint8Array, at: number): ReplyHeader | undefined {
  const size = replyHeaderBytes(bytes, at);
  if (size === undefined || bytes.length - at < size) return undefined;
  const cookie = { cookieHigh: readUint32(bytes, at + 8), cookieLow: readUint32(bytes, at + 12) };
  if (size === simpleReplyBytes) return { kind: 'simple', error: readUint32(bytes, at + 4), ...cookie };
  return { kind: 'chunk', flags: readUint16(bytes, at + 4), type: readUint16(bytes, at + 6), ...cookie, length: readUint32(bytes, at + 16) };
}

/** A whole final error chunk without text. */
export function encodeErrorChunk(cookie: Cookie, error: number): Uint8Array {
  const bytes = new Uint8Array(chunkHeaderBytes + 6);
  encodeChunkHeader(bytes, 0, { flags: chunkFlag.done, type: chunkType.error, cookieHigh: cookie.cookieHigh, cookieLow: cookie.cookieLow, length: 6 });
  writeUint32(bytes, chunkHeaderBytes, error);
  return bytes;
}

/** A whole offset-hole chunk: `length` zeros at `offset`. */
export function encodeHoleChunk(cookie: Cookie, hole: { offset: number; length: number; done: boolean }): Uint8Array {
  const bytes = new Uint8Array(chunkHeaderBytes + 12);
  const flags = hole.done ? chunkFlag.done : 0;
  encodeChunkHeader(bytes, 0, { flags, type: chunkType.offsetHole, cookieHigh: cookie.cookieHigh, cookieLow: cookie.cookieLow, length: 12 });
  writeUint64(bytes, chunkHeaderBytes, hole.offset);
  writeUint32(bytes, chunkHeaderBytes + 8, hole.length);
  return bytes;
}

/** A whole final block-status chunk. */
export function encodeStatusChunk(cookie: Cookie, status: { contextId: number; extents: readonly StatusExtent[] }): Uint8Array {
  const length = 4 + 8 * status.extents.length;
  const bytes = new Uint8Array(chunkHeaderBytes + length);
  encodeChunkHeader(bytes, 0, { flags: chunkFlag.done, type: chunkType.blockStatus, cookieHigh: cookie.cookieHigh, cookieLow: cookie.cookieLow, length });
  writeUint32(bytes, chunkHeaderBytes, status.contextId);
  status.extents.forEach((extent, index) => {
    writeUint32(bytes, chunkHeaderBytes + 4 + 8 * index, extent.length);
    writeUint32(bytes, chunkHeaderBytes + 8 + 8 * index, extent.flags);
  });
  return bytes;
}

/** Reads the payload of a block-status chunk. Undefined when its length does not fit. */
export function decodeStatusPayload(payload: Uint8Array): { contextId: number; extents: StatusExtent[] } | undefined {
  if (payload.length < 12 || payload.length % 8 !== 4) return undefined;
  const extents: StatusExtent[] = [];
  for (let at = 4; at < payload.length; at += 8) extents.push({ length: readUint32(payload, at), flags: readUint32(payload, at + 4) });
  return extents.some((extent) => extent.length === 0) ? undefined : { contextId: readUint32(payload, 0), extents };
}

/** Reads the payload of an error chunk. Undefined when it is too short for its own text length. */
export function decodeErrorPayload(payload: Uint8Array): { error: number; text: string } | undefined {
  if (payload.length < 6) return undefined;
  const textBytes = readUint16(payload, 4);
  if (payload.length < 6 + textBytes) return undefined;
  return { error: readUint32(payload, 0), text: Buffer.from(payload.subarray(6, 6 + textBytes)).toString('utf8') };
}

/** Reads the payload of an offset-hole chunk. */
export function decodeHolePayload(payload: Uint8Array): { offset: number; length: number } | undefined {
  return payload.length === 12 ? { offset: readUint64(payload, 0), length: readUint32(payload, 8) } : undefined;
}
