// SPDX-License-Identifier: Apache-2.0
// Server side of the fixed-newstyle handshake as a pure state machine: bytes in, bytes and an outcome out. Source: NBD protocol,
// "Newstyle negotiation", "Option types". Invariants: no reply before the client's flags; with TLS required nothing but STARTTLS and
// ABORT is served on a plain channel; what was agreed on a plain channel is forgotten when TLS begins.
import type { BlockSizes } from '../block-device';
import {
  type ContextRequest,
  decodeContextRequest,
  decodeInfoRequest,
  decodeOptionHeader,
  decodeText,
  encodeContextReply,
  encodeExportNameReply,
  encodeGreeting,
  encodeInfoReply,
  encodeListEntry,
  encodeOptionReply,
  optionHeaderBytes,
} from '../codec/option-codec';
import { allocationContext, exportFlag, handshake, info, option, optionReply, stringBytesMax } from '../protocol';

/** An export as clients see it. */
export interface OfferedExport {
  readonly name: string;
  readonly description: string;
  readonly sizeBytes: number;
  /** Transmission flags without SEND_DF, which depends on structured replies. */
  readonly flags: number;
  readonly blockSizes: BlockSizes;
}

export interface NegotiationRules {
  readonly tls: 'off' | 'allowed' | 'required';
  /** Only what this client may use. */
  list(): readonly OfferedExport[];
  find(name: string): OfferedExport | undefined;
}

export interface Agreement {
  readonly export: OfferedExport;
  readonly structuredReplies: boolean;
  /** `base:allocation` may be queried. */
  readonly allocation: boolean;
  /** Bytes that came after the last option. */
  readonly rest: Buffer;
}

export type NegotiationOutcome =
  | { readonly kind: 'more' | 'starttls' }
  | { readonly kind: 'transmission'; readonly agreement: Agreement }
  | { readonly kind: 'close'; readonly reason: string };

export const allocationContextId = 1;
const optionBytesMax = 64 * 1024;
const optionsMax = 256;
const receivedBytesMax = 1024 * 1024;
const more: NegotiationOutcome = { kind: 'more' };

export class Negotiation {
  #unread: Buffer = Buffer.alloc(0);
  #output: Buffer[] = [encodeGreeting(handshake.fixedNewstyle | handshake.noZeroes)];
  #clientFlags: number | undefined;
  #secure = false;
  #structured = false;
  #allocationFor: string | undefined;
  #skipBytes = 0;
  #options = 0;
  #receivedBytes = 0;

  constructor(private readonly rules: NegotiationRules) {}

  /** Bytes to send, once; the greeting is there from the start. */
  takeOutput(): Buffer {
    const bytes = Buffer.concat(this.#output);
    this.#output = [];
    return bytes;
  }

  /** The channel is TLS from now on. */
  secured(): void {
    this.#secure = true;
    this.#structured = false;
    this.#allocationFor = undefined;
  }

  /** Takes the next bytes from the client, in pieces of any size. */
  receive(bytes: Buffer): NegotiationOutcome {
    this.#receivedBytes += bytes.length;
    if (this.#receivedBytes > receivedBytesMax) return close('the client sent too much before choosing an export');
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let outcome: NegotiationOutcome | undefined = more;
    while (outcome === more && (outcome = this.#step()) !== undefined);
    if (outcome === undefined || outcome === more) this.#unread = Buffer.from(this.#unread);
    return outcome ?? more;
  }

  /** One option; undefined when it is not complete yet. */
  #step(): NegotiationOutcome | undefined {
    if (this.#clientFlags === undefined) return this.#takeClientFlags();
    if (this.#skipBytes > 0) return this.#skip();
    if (this.#unread.length < optionHeaderBytes) return undefined;
    const header = decodeOptionHeader(this.#unread);
    if (!header) return close('the client sent something that is no NBD option');
    if (++this.#options > optionsMax) return close('the client sent too many options');
    if (header.length > optionBytesMax) {
      this.#unread = this.#unread.subarray(optionHeaderBytes);
      this.#skipBytes = header.length;
      if (header.option === option.exportName) return close('the export name is too long');
      return this.#reply(header.option, optionReply.tooBig);
    }
    const end = optionHeaderBytes + header.length;
    if (this.#unread.length < end) {
      this.#options -= 1;
      return undefined;
    }
    const data = this.#unread.subarray(optionHeaderBytes, end);
    this.#unread = this.#unread.subarray(end);
    return this.#answer(header.option, data);
  }

  #takeClientFlags(): NegotiationOutcome | undefined {
    if (this.#unread.length < 4) return undefined;
    this.#clientFlags = this.#unread.readUInt32BE(0);
    this.#unread = this.#unread.subarray(4);
    const known = handshake.fixedNewstyle | handshake.noZeroes;
    return (this.#clientFlags & ~known) === 0 ? more : close('the client set unknown handshake flags');
  }

  #skip(): NegotiationOutcome | undefined {
    if (this.#unread.length === 0) return undefined;
    const skipped = Math.min(this.#skipBytes, this.#unread.length);
    this.#skipBytes -= skipped;
    this.#unread = this.#unread.subarray(skipped);
    return more;
  }

  #answer(code: number, data: Buffer): NegotiationOutcome {
    if (code === option.abort) {
      this.#reply(code, optionReply.ack);
      return close('the client aborted the negotiation');
    }
    if (code !== option.exportName && ((this.#clientFlags ?? 0) & handshake.fixedNewstyle) === 0) return close('the client does not speak fixed newstyle');
    if (code === option.starttls) return this.#startTls(data);
    if (this.rules.tls === 'required' && !this.#secure) {
      return code === option.exportName ? close('the client must use TLS') : this.#reply(code, optionReply.tlsRequired, 'use TLS');
    }
    if (code === option.exportName) return this.#exportName(data);
    if (code === option.list) return this.#list(data);
    if (code === option.info || code === option.go) return this.#infoOrGo(code, data);
    if (code === option.structuredReply) return this.#structuredReply(data);
    if (code === option.listMetaContext || code === option.setMetaContext) return this.#metaContext(code, data);
    return this.#reply(code, optionReply.unsupported);
  }

  #startTls(data: Buffer): NegotiationOutcome {
    if (data.length > 0) return this.#reply(option.starttls, optionReply.invalid);
    if (this.#secure) return this.#reply(option.starttls, optionReply.invalid, 'TLS is in use already');
    if (this.rules.tls === 'off') return this.#reply(option.starttls, optionReply.policy, 'this server has no TLS');
    if (this.#unread.length > 0) return close('the client sent bytes between STARTTLS and its answer');
    this.#reply(option.starttls, optionReply.ack);
    return { kind: 'starttls' };
  }

  #exportName(data: Buffer): NegotiationOutcome {
    const name = data.length > stringBytesMax ? undefined : decodeText(data);
    const found = name === undefined ? undefined : this.rules.find(name);
    if (!found) return close('the client asked for an unknown export');
    const zeroes = ((this.#clientFlags ?? 0) & handshake.noZeroes) === 0;
    this.#output.push(encodeExportNameReply({ sizeBytes: found.sizeBytes, flags: this.#flagsOf(found), zeroes }));
    return this.#transmission(found);
  }

  #list(data: Buffer): NegotiationOutcome {
    if (data.length > 0) return this.#reply(option.list, optionReply.invalid);
    for (const entry of this.rules.list()) {
      this.#output.push(encodeOptionReply({ option: option.list, type: optionReply.server, data: encodeListEntry(entry) }));
    }
    return this.#reply(option.list, optionReply.ack);
  }

  #infoOrGo(code: number, data: Buffer): NegotiationOutcome {
    const request = decodeInfoRequest(data);
    if (!request) return this.#reply(code, optionReply.invalid);
    const found = this.rules.find(request.name);
    if (!found) return this.#reply(code, optionReply.unknownExport, 'no such export');
    const { sizeBytes, blockSizes } = found;
    if (blockSizes.minimum > 1 && !request.infos.includes(info.blockSize)) return this.#reply(code, optionReply.blockSizeRequired);
    const answers = [encodeInfoReply({ kind: 'export', sizeBytes, flags: this.#flagsOf(found) }), encodeInfoReply({ kind: 'block-size', ...blockSizes })];
    if (request.infos.includes(info.name)) answers.push(encodeInfoReply({ kind: 'name', text: found.name }));
    if (request.infos.includes(info.description)) answers.push(encodeInfoReply({ kind: 'description', text: found.description }));
    for (const answer of answers) this.#output.push(encodeOptionReply({ option: code, type: optionReply.info, data: answer }));
    this.#reply(code, optionReply.ack);
    return code === option.go ? this.#transmission(found) : more;
  }

  #structuredReply(data: Buffer): NegotiationOutcome {
    if (data.length > 0) return this.#reply(option.structuredReply, optionReply.invalid);
    this.#structured = true;
    return this.#reply(option.structuredReply, optionReply.ack);
  }

  #metaContext(code: number, data: Buffer): NegotiationOutcome {
    const set = code === option.setMetaContext;
    if (set) this.#allocationFor = undefined;
    const request = decodeContextRequest(data);
    if (!request || (set && !this.#structured)) return this.#reply(code, optionReply.invalid);
    if (!this.rules.find(request.name)) return this.#reply(code, optionReply.unknownExport, 'no such export');
    if (asksForAllocation(request, set)) {
      if (set) this.#allocationFor = request.name;
      const context = encodeContextReply({ contextId: set ? allocationContextId : 0, name: allocationContext });
      this.#output.push(encodeOptionReply({ option: code, type: optionReply.metaContext, data: context }));
    }
    return this.#reply(code, optionReply.ack);
  }

  #transmission(found: OfferedExport): NegotiationOutcome {
    const allocation = this.#structured && this.#allocationFor === found.name;
    return { kind: 'transmission', agreement: { export: found, structuredReplies: this.#structured, allocation, rest: this.#unread } };
  }

  #flagsOf(found: OfferedExport): number {
    return found.flags | (this.#structured ? exportFlag.sendDf : 0);
  }

  #reply(code: number, type: number, text = ''): NegotiationOutcome {
    this.#output.push(encodeOptionReply({ option: code, type, data: Buffer.from(text, 'utf8') }));
    return more;
  }
}

function asksForAllocation(request: ContextRequest, set: boolean): boolean {
  if (request.queries.includes(allocationContext)) return true;
  return !set && (request.queries.length === 0 || request.queries.includes('base:'));
}

function close(reason: string): NegotiationOutcome {
  return { kind: 'close', reason };
}
