// SPDX-License-Identifier: Apache-2.0
// Client side of the fixed-newstyle handshake without sockets: a generator that says what to send, how many bytes it needs next and when
// TLS begins. Source: NBD protocol, "Newstyle negotiation". It ends in transmission by OPT_GO, or by EXPORT_NAME with servers that
// know no OPT_GO; with TLS wanted, nothing but STARTTLS is said before the channel is secure.
import {
  decodeContextReply,
  decodeGreeting,
  decodeInfoReply,
  decodeOptionReplyHeader,
  decodeText,
  encodeContextRequest,
  encodeInfoRequest,
  encodeOption,
  greetingBytes,
  optionReplyHeaderBytes,
} from '../codec/option-codec';
import { exportFlag, handshake, info, option, optionReply } from '../protocol';
import { protocolBroken, refused } from './client-errors';

export interface HandshakeWishes {
  readonly exportName: string;
  readonly tls: boolean;
  /** Meta contexts to ask for, e.g. `base:allocation`. */
  readonly metaContexts: readonly string[];
}

export interface HandshakeResult {
  readonly sizeBytes: number;
  readonly flags: number;
  readonly blockSizes: { readonly minimum: number; readonly preferred: number; readonly maximum: number };
  readonly structuredReplies: boolean;
  /** Contexts the server agreed to, by their number on the wire. */
  readonly contexts: ReadonlyMap<number, string>;
}

export type HandshakeStep = { readonly send: Buffer } | { readonly need: number } | { readonly startTls: true };

type Handshake<Result> = Generator<HandshakeStep, Result, Buffer>;

interface OptionAnswer {
  readonly type: number;
  readonly data: Buffer;
}

const replyBytesMax = 64 * 1024;
const repliesMax = 10_000;
const usualBlockSizes = { minimum: 1, preferred: 4096, maximum: 32 * 1024 * 1024 };

export function* clientHandshake(wishes: HandshakeWishes): Handshake<HandshakeResult> {
  const greeting = decodeGreeting(yield { need: greetingBytes });
  if (greeting === undefined) throw protocolBroken('The peer is no fixed-newstyle NBD server.');
  if ((greeting & handshake.fixedNewstyle) === 0) throw protocolBroken('The server speaks only the old newstyle handshake.');
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(greeting & (handshake.fixedNewstyle | handshake.noZeroes), 0);
  yield { send: flags };
  if (wishes.tls) {
    const answer = (yield* ask(option.starttls, Buffer.alloc(0))).at(-1) as OptionAnswer;
    if (answer.type !== optionReply.ack) throw refused('start TLS with NBD server', refusalOf(answer));
    yield { startTls: true };
  }
  const structuredReplies = lastType(yield* ask(option.structuredReply, Buffer.alloc(0))) === optionReply.ack;
  const contexts = structuredReplies && wishes.metaContexts.length > 0 ? yield* setContexts(wishes) : new Map<number, string>();
  const request = encodeInfoRequest({ name: wishes.exportName, infos: [info.blockSize] });
  const answers = yield* ask(option.go, request);
  const last = answers.at(-1) as OptionAnswer;
  if (last.type === optionReply.unsupported) return yield* exportName(wishes.exportName, { greeting, structuredReplies, contexts });
  if (last.type !== optionReply.ack) throw refused(`open NBD export "${wishes.exportName}"`, refusalOf(last));
  return { ...goResult(answers), structuredReplies, contexts };
}

/** The names a server lists; needs no export. */
export function* clientList(tls: boolean): Handshake<string[]> {
  const greeting = decodeGreeting(yield { need: greetingBytes });
  if (greeting === undefined || (greeting & handshake.fixedNewstyle) === 0) throw protocolBroken('The peer is no fixed-newstyle NBD server.');
  const flags = Buffer.alloc(4);
  flags.writeUInt32BE(handshake.fixedNewstyle, 0);
  yield { send: flags };
  if (tls) {
    const answer = (yield* ask(option.starttls, Buffer.alloc(0))).at(-1) as OptionAnswer;
    if (answer.type !== optionReply.ack) throw refused('start TLS with NBD server', refusalOf(answer));
    yield { startTls: true };
  }
  const answers = yield* ask(option.list, Buffer.alloc(0));
  const last = answers.at(-1) as OptionAnswer;
  if (last.type !== optionReply.ack) throw refused('list NBD exports', refusalOf(last));
  yield { send: encodeOption(option.abort, Buffer.alloc(0)) };
  return answers.slice(0, -1).map((answer) => nameOf(answer.data));
}

function nameOf(data: Buffer): string {
  const end = data.length < 4 ? -1 : 4 + data.readUInt32BE(0);
  const name = end < 4 || end > data.length ? undefined : decodeText(data.subarray(4, end));
  if (name === undefined) throw protocolBroken('The server sent a malformed list of exports.');
  return name;
}

function* setContexts(wishes: HandshakeWishes): Handshake<Map<number, string>> {
  const answers = yield* ask(option.setMetaContext, encodeContextRequest({ name: wishes.exportName, queries: wishes.metaContexts }));
  const contexts = new Map<number, string>();
  if (lastType(answers) !== optionReply.ack) return contexts;
  for (const answer of answers) {
    if (answer.type !== optionReply.metaContext) continue;
    const context = decodeContextReply(answer.data);
    if (!context) throw protocolBroken('The server sent a malformed meta context.');
    contexts.set(context.contextId, context.name);
  }
  return contexts;
}

function* exportName(name: string, agreed: { greeting: number; structuredReplies: boolean; contexts: Map<number, string> }): Handshake<HandshakeResult> {
  yield { send: encodeOption(option.exportName, Buffer.from(name, 'utf8')) };
  const zeroes = (agreed.greeting & handshake.noZeroes) === 0 ? 124 : 0;
  const reply = yield { need: 10 + zeroes };
  const sizeBytes = Number(reply.readBigUInt64BE(0));
  if (!Number.isSafeInteger(sizeBytes)) throw protocolBroken('The server sent an impossible size.');
  return { sizeBytes, flags: reply.readUInt16BE(8), blockSizes: usualBlockSizes, structuredReplies: agreed.structuredReplies, contexts: agreed.contexts };
}

/** Sends an option and reads its answers up to and with the final one (ACK or an error). */
function* ask(code: number, data: Buffer): Handshake<OptionAnswer[]> {
  yield { send: encodeOption(code, data) };
  const answers: OptionAnswer[] = [];
  while (answers.length < repliesMax) {
    const header = decodeOptionReplyHeader(yield { need: optionReplyHeaderBytes });
    if (!header || header.option !== code || header.length > replyBytesMax) throw protocolBroken('The server sent a malformed answer to an option.');
    const answer = { type: header.type, data: header.length === 0 ? Buffer.alloc(0) : yield { need: header.length } };
    answers.push(answer);
    if (answer.type === optionReply.ack || answer.type >= optionReply.firstError) return answers;
  }
  throw protocolBroken('The server does not stop answering one option.');
}

function goResult(answers: readonly OptionAnswer[]): Pick<HandshakeResult, 'sizeBytes' | 'flags' | 'blockSizes'> {
  let exported: { sizeBytes: number; flags: number } | undefined;
  let blockSizes = usualBlockSizes;
  for (const answer of answers) {
    if (answer.type !== optionReply.info) continue;
    const reply = decodeInfoReply(answer.data);
    if (!reply) throw protocolBroken('The server sent malformed information about the export.');
    if (reply.kind === 'export') exported = reply;
    if (reply.kind === 'block-size') blockSizes = { minimum: reply.minimum, preferred: reply.preferred, maximum: reply.maximum };
  }
  if (!exported || (exported.flags & exportFlag.hasFlags) === 0) throw protocolBroken('The server did not tell the size of the export.');
  return { sizeBytes: exported.sizeBytes, flags: exported.flags, blockSizes };
}

function lastType(answers: readonly OptionAnswer[]): number | undefined {
  return answers.at(-1)?.type;
}

function refusalOf(answer: OptionAnswer): { type: number; text: string } {
  return { type: answer.type, text: decodeText(answer.data) ?? '' };
}
