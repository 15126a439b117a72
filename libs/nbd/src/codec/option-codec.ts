// SPDX-License-Identifier: Apache-2.0
// NBD fixed-newstyle handshake: greeting, options, option replies and the payloads of both. Big endian. Decoders return undefined for
// bytes that do not follow the protocol exactly (too short, too long, lying counts, names over 4096 bytes or not UTF-8).
import { isUtf8 } from 'node:buffer';
import { handshake, info, stringBytesMax } from '../protocol';

export const greetingBytes = 18;
export const optionHeaderBytes = 16;
export const optionReplyHeaderBytes = 20;

export interface OptionHeader {
  readonly option: number;
  readonly length: number;
}

export interface OptionReplyHeader extends OptionHeader {
  readonly type: number;
}

/** What INFO and GO ask for. */
export interface InfoRequest {
  readonly name: string;
  readonly infos: readonly number[];
}

/** What LIST_META_CONTEXT and SET_META_CONTEXT ask for. */
export interface ContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

export type InfoReply =
  | { readonly kind: 'export'; readonly sizeBytes: number; readonly flags: number }
  | { readonly kind: 'block-size'; readonly minimum: number; readonly preferred: number; readonly maximum: number }
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'description'; readonly text: string }
  | { readonly kind: 'other'; readonly info: number };

export function encodeGreeting(flags: number): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  bytes.writeBigUInt64BE(handshake.nbdMagic, 0);
  bytes.writeBigUInt64BE(handshake.optionMagic, 8);
  bytes.writeUInt16BE(flags, 16);
  return bytes;
}

/** The handshake flags, or undefined when the peer is no fixed-newstyle NBD server. */
export function decodeGreeting(bytes: Buffer): number | undefined {
  if (bytes.length !== greetingBytes || bytes.readBigUInt64BE(0) !== handshake.nbdMagic) return undefined;
  return bytes.readBigUInt64BE(8) === handshake.optionMagic ? bytes.readUInt16BE(16) : undefined;
}

export function encodeOption(option: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(optionHeaderBytes + data.length);
  bytes.writeBigUInt64BE(handshake.optionMagic, 0);
  bytes.writeUInt32BE(option, 8);
  bytes.writeUInt32BE(data.length, 12);
  bytes.set(data, optionHeaderBytes);
  return bytes;
}

export function decodeOptionHeader(bytes: Buffer): OptionHeader | undefined {
  if (bytes.length < optionHeaderBytes || bytes.readBigUInt64BE(0) !== handshake.optionMagic) return undefined;
  return { option: bytes.readUInt32BE(8), length: bytes.readUInt32BE(12) };
}

export function encodeOptionReply(reply: { option: number; type: number; data?: Uint8Array }): Buffer {
  const data = reply.data ?? new Uint8Array(0);
  const bytes = Buffer.alloc(optionReplyHeaderBytes + data.length);
  bytes.writeBigUInt64BE(handshake.optionReplyMagic, 0);
  bytes.writeUInt32BE(reply.option, 8);
  bytes.writeUInt32BE(reply.type, 12);
  bytes.writeUInt32BE(data.length, 16);
  bytes.set(data, optionReplyHeaderBytes);
  return bytes;
}

export function decodeOptionReplyHeader(bytes: Buffer): OptionReplyHeader | undefined {
  if (bytes.length < optionReplyHeaderBytes || bytes.readBigUInt64BE(0) !== handshake.optionReplyMagic) return undefined;
  return { option: bytes.readUInt32BE(8), type: bytes.readUInt32BE(12), length: bytes.readUInt32BE(16) };
}

/** The answer to EXPORT_NAME, which has no header of its own. */
export function encodeExportNameReply(reply: { sizeBytes: number; flags: number; zeroes: boolean }): Buffer {
  const bytes = Buffer.alloc(10 + (reply.zeroes ? 124 : 0));
  bytes.writeBigUInt64BE(BigInt(reply.sizeBytes), 0);
  bytes.writeUInt16BE(reply.flags, 8);
  return bytes;
}

export function encodeInfoRequest(request: InfoRequest): Buffer {
  const tail = Buffer.alloc(2 + 2 * request.infos.length);
  tail.writeUInt16BE(request.infos.length, 0);
  request.infos.forEach((wanted, index) => tail.writeUInt16BE(wanted, 2 + 2 * index));
  return Buffer.concat([sizedText(request.name), tail]);
}

export function decodeInfoRequest(data: Buffer): InfoRequest | undefined {
  const name = textAt(data, 0);
  if (!name || data.length < name.end + 2) return undefined;
  const count = data.readUInt16BE(name.end);
  if (data.length !== name.end + 2 + 2 * count) return undefined;
  return { name: name.text, infos: Array.from({ length: count }, (_, index) => data.readUInt16BE(name.end + 2 + 2 * index)) };
}

export function encodeContextRequest(request: ContextRequest): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(request.queries.length, 0);
  return Buffer.concat([sizedText(request.name), count, ...request.queries.map(sizedText)]);
}

export function decodeContextRequest(data: Buffer): ContextRequest | undefined {
  const name = textAt(data, 0);
  if (!name || data.length < name.end + 4) return undefined;
  const count = data.readUInt32BE(name.end);
  const queries: string[] = [];
  let at = name.end + 4;
  while (queries.length < count) {
    const query = textAt(data, at);
    if (!query) return undefined;
    queries.push(query.text);
    at = query.end;
  }
  return at === data.length ? { name: name.text, queries } : undefined;
}

export function encodeInfoReply(reply: Exclude<InfoReply, { kind: 'other' }>): Buffer {
  if (reply.kind === 'name' || reply.kind === 'description') {
    return Buffer.concat([Buffer.from([0, reply.kind === 'name' ? info.name : info.description]), Buffer.from(reply.text, 'utf8')]);
  }
  const bytes = Buffer.alloc(reply.kind === 'export' ? 12 : 14);
  if (reply.kind === 'export') {
    bytes.writeUInt16BE(info.export, 0);
    bytes.writeBigUInt64BE(BigInt(reply.sizeBytes), 2);
    bytes.writeUInt16BE(reply.flags, 10);
  } else {
    bytes.writeUInt16BE(info.blockSize, 0);
    bytes.writeUInt32BE(reply.minimum, 2);
    bytes.writeUInt32BE(reply.preferred, 6);
    bytes.writeUInt32BE(reply.maximum, 10);
  }
  return bytes;
}

export function decodeInfoReply(data: Buffer): InfoReply | undefined {
  if (data.length < 2) return undefined;
  const kind = data.readUInt16BE(0);
  if (kind === info.export) return decodeExportInfo(data);
  if (kind === info.blockSize) {
    if (data.length !== 14) return undefined;
    return { kind: 'block-size', minimum: data.readUInt32BE(2), preferred: data.readUInt32BE(6), maximum: data.readUInt32BE(10) };
  }
  if (kind !== info.name && kind !== info.description) return { kind: 'other', info: kind };
  const text = data.length - 2 <= stringBytesMax ? decodeText(data.subarray(2)) : undefined;
  return text === undefined ? undefined : { kind: kind === info.name ? 'name' : 'description', text };
}

function decodeExportInfo(data: Buffer): InfoReply | undefined {
  if (data.length !== 12) return undefined;
  const sizeBytes = Number(data.readBigUInt64BE(2));
  return Number.isSafeInteger(sizeBytes) ? { kind: 'export', sizeBytes, flags: data.readUInt16BE(10) } : undefined;
}

/** One entry of LIST: the export's name, then a description for people. */
export function encodeListEntry(entry: { name: string; description: string }): Buffer {
  return Buffer.concat([sizedText(entry.name), Buffer.from(entry.description, 'utf8')]);
}

export function decodeListEntry(data: Buffer): { name: string; description: string } | undefined {
  const name = textAt(data, 0);
  const description = name && decodeText(data.subarray(name.end));
  return name && description !== undefined ? { name: name.text, description } : undefined;
}

export function encodeContextReply(reply: { contextId: number; name: string }): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(reply.name));
  bytes.writeUInt32BE(reply.contextId, 0);
  bytes.write(reply.name, 4, 'utf8');
  return bytes;
}

export function decodeContextReply(data: Buffer): { contextId: number; name: string } | undefined {
  if (data.length < 5 || data.length > 4 + stringBytesMax) return undefined;
  const name = decodeText(data.subarray(4));
  return name === undefined ? undefined : { contextId: data.readUInt32BE(0), name };
}

/** UTF-8 text, or undefined. */
export function decodeText(bytes: Uint8Array): string | undefined {
  return isUtf8(bytes) ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8') : undefined;
}

function sizedText(text: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text));
  bytes.writeUInt32BE(bytes.length - 4, 0);
  bytes.write(text, 4, 'utf8');
  return bytes;
}

function textAt(data: Buffer, at: number): { text: string; end: number } | undefined {
  if (data.length < at + 4) return undefined;
  const length = data.readUInt32BE(at);
  const end = at + 4 + length;
  if (length > stringBytesMax || data.length < end) return undefined;
  const text = decodeText(data.subarray(at + 4, end));
  return text === undefined ? undefined : { text, end };
}
