// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { defaultBlockSizes } from '../block-device';
import { clientHandshake, type HandshakeResult } from '../client/handshake';
import { encodeContextRequest, encodeInfoRequest, encodeOption } from '../codec/option-codec';
import { option, optionReply } from '../protocol';
import { Negotiation, type NegotiationRules, type OfferedExport } from './negotiation';

const disk: OfferedExport = { name: 'disk', description: 'a disk', sizeBytes: 12345, flags: 1 + 4 + 8, blockSizes: defaultBlockSizes };

function rules(tls: NegotiationRules['tls'], offered: OfferedExport = disk): NegotiationRules {
  return { tls, list: () => [offered], find: (name) => (name === offered.name ? offered : undefined) };
}

function begun(tls: NegotiationRules['tls'] = 'off', offered = disk): Negotiation {
  const negotiation = new Negotiation(rules(tls, offered));
  negotiation.takeOutput();
  negotiation.receive(Buffer.from([0, 0, 0, 3]));
  return negotiation;
}

function replyTypes(output: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at < output.length; at += 20 + output.readUInt32BE(at + 16)) types.push(output.readUInt32BE(at + 12));
  return types;
}

function handshakeWithOurClient(negotiation: Negotiation, cut: number): HandshakeResult {
  const client = clientHandshake({ exportName: 'disk', tls: true, metaContexts: ['base:allocation'] });
  let fromServer = negotiation.takeOutput();
  let step = client.next(Buffer.alloc(0));
  while (!step.done) {
    let answer: Buffer = Buffer.alloc(0);
    if ('send' in step.value) {
      for (let at = 0; at < step.value.send.length; at += cut) {
        const outcome = negotiation.receive(step.value.send.subarray(at, at + cut));
        if (outcome.kind === 'close') throw new Error(outcome.reason);
      }
      fromServer = Buffer.concat([fromServer, negotiation.takeOutput()]);
    } else if ('need' in step.value) {
      answer = fromServer.subarray(0, step.value.need);
      fromServer = fromServer.subarray(step.value.need);
    } else negotiation.secured();
    step = client.next(answer);
  }
  return step.value;
}

describe('the negotiation', () => {
  it('agrees with our client, whatever pieces the options come in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), (cut) => {
        const result = handshakeWithOurClient(new Negotiation(rules('required')), cut);
        expect(result.sizeBytes).toBe(12345);
        expect([...result.contexts]).toEqual([[1, 'base:allocation']]);
      }),
      { numRuns: 40 },
    );
  });

  it('says nothing of exports before TLS when TLS is required', () => {
    const negotiation = begun('required');
    for (const code of [option.list, option.go, option.info, option.structuredReply, option.setMetaContext]) {
      negotiation.receive(encodeOption(code, encodeInfoRequest({ name: 'disk', infos: [] })));
      expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.tlsRequired]);
    }
    expect(negotiation.receive(encodeOption(option.exportName, Buffer.from('disk'))).kind).toBe('close');
  });

  it('closes when bytes follow STARTTLS in plain', () => {
    const starttls = encodeOption(option.starttls, Buffer.alloc(0));
    expect(begun('allowed').receive(Buffer.concat([starttls, starttls])).kind).toBe('close');
    expect(begun('allowed').receive(starttls).kind).toBe('starttls');
  });

  it('forgets at TLS what was agreed in plain', () => {
    const negotiation = begun('allowed');
    negotiation.receive(encodeOption(option.structuredReply, Buffer.alloc(0)));
    negotiation.receive(encodeOption(option.starttls, Buffer.alloc(0)));
    negotiation.secured();
    const outcome = negotiation.receive(encodeOption(option.go, encodeInfoRequest({ name: 'disk', infos: [] })));
    expect(outcome).toMatchObject({ kind: 'transmission', agreement: { structuredReplies: false } });
  });

  it('refuses unknown options, too long ones and unknown exports politely, and goes on', () => {
    const negotiation = begun();
    negotiation.receive(encodeOption(77, Buffer.from('what')));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.unsupported]);
    negotiation.receive(encodeOption(option.list, Buffer.alloc(70_000)));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.tooBig]);
    negotiation.receive(encodeOption(option.go, encodeInfoRequest({ name: 'other', infos: [] })));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.unknownExport]);
    negotiation.receive(encodeOption(option.go, Buffer.from([255, 255, 255, 255, 0, 0])));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.invalid]);
    negotiation.receive(encodeOption(option.list, Buffer.alloc(0)));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.server, optionReply.ack]);
  });

  it('insists that a client asks for block sizes it must keep to', () => {
    const negotiation = begun('off', { ...disk, blockSizes: { minimum: 512, preferred: 4096, maximum: 65536 } });
    negotiation.receive(encodeOption(option.go, encodeInfoRequest({ name: 'disk', infos: [] })));
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.blockSizeRequired]);
    expect(negotiation.receive(encodeOption(option.go, encodeInfoRequest({ name: 'disk', infos: [3] }))).kind).toBe('transmission');
  });

  it('gives a context only after structured replies, and only for the export it was asked for', () => {
    const negotiation = begun();
    const context = encodeOption(option.setMetaContext, encodeContextRequest({ name: 'disk', queries: ['base:allocation', 'x:y'] }));
    negotiation.receive(context);
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.invalid]);
    negotiation.receive(encodeOption(option.structuredReply, Buffer.alloc(0)));
    negotiation.takeOutput();
    negotiation.receive(context);
    expect(replyTypes(negotiation.takeOutput())).toEqual([optionReply.metaContext, optionReply.ack]);
  });

  it('ends a client that never stops sending options', () => {
    const negotiation = begun();
    const kinds = Array.from({ length: 300 }, () => negotiation.receive(encodeOption(99, Buffer.alloc(0))).kind);
    expect(kinds).toContain('close');
  });

  it('never throws for arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), fc.nat(20), fc.uint8Array({ maxLength: 64 }), (pieces, code, data) => {
        const negotiation = begun();
        negotiation.receive(encodeOption(code, data));
        for (const piece of pieces) negotiation.receive(Buffer.from(piece));
      }),
    );
  });
});
