// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createEnrolmentToken, decideEnrolment, type EnrolmentTokenRecord, parseEnrolmentToken } from './enrolment-token';
import { peerIdentity } from './peer-identity';

const authorityFingerprint = 'ab'.repeat(32);
const record: EnrolmentTokenRecord = { tokenHash: 'h', tenantId: 't', role: 'agent', expiresAtMillis: 1000 };
const use = { usedAtMillis: 10, componentId: 'agent-1', publicKeySha256: 'key-1' };

describe('an enrolment token', () => {
  it('is stored as a hash that reveals nothing of its text', () => {
    const { text, record: stored } = createEnrolmentToken({ ...record, authorityFingerprint });
    const secret = text.split('.')[1] as string;
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
    expect(JSON.stringify(stored)).not.toContain(secret);
    expect(parseEnrolmentToken(` ${text}\n`)).toEqual({ tokenHash: stored.tokenHash, authorityFingerprint });
  });

  it('is never twice the same', () => {
    const texts = new Set(Array.from({ length: 100 }, () => createEnrolmentToken({ ...record, authorityFingerprint }).text));
    expect(texts.size).toBe(100);
  });

  it('is not recognised once any character is missing', () => {
    const { text } = createEnrolmentToken({ ...record, authorityFingerprint });
    fc.assert(fc.property(fc.integer({ min: 0, max: text.length - 1 }), (at) => parseEnrolmentToken(text.slice(0, at) + text.slice(at + 1)) === undefined));
    fc.assert(fc.property(fc.string(), (other) => parseEnrolmentToken(other) === undefined));
  });
});

describe('deciding about an enrolment', () => {
  it.each([
    ['an unknown token is refused', undefined, 0, 'key-1', { kind: 'refused', code: 'enrolment/token-unknown' }],
    ['an open token is accepted', record, 999, 'key-1', { kind: 'accepted', record }],
    ['an expired token is refused', record, 1000, 'key-1', { kind: 'refused', code: 'enrolment/token-expired' }],
    ['a used token is refused to another key', { ...record, use }, 999, 'key-2', { kind: 'refused', code: 'enrolment/token-used' }],
    ['a used token gives the same key the same component', { ...record, use }, 999, 'key-1', { kind: 'repeat', componentId: 'agent-1' }],
    ['a used token expires too', { ...record, use }, 1000, 'key-1', { kind: 'refused', code: 'enrolment/token-expired' }],
  ])('%s', (_rule, given, nowMillis, publicKeySha256, expected) => {
    expect(decideEnrolment(given, { nowMillis, publicKeySha256 })).toMatchObject(expected);
  });
});

describe('the identity in a certificate', () => {
  it('is read from its one URI', () => {
    expect(peerIdentity({ subjectaltname: 'URI:secondsite:t-1/process-server/ps_1, DNS:localhost, IP Address:127.0.0.1' })).toEqual({
      tenantId: 't-1',
      role: 'process-server',
      componentId: 'ps_1',
    });
  });

  it.each([
    undefined,
    '',
    'DNS:localhost',
    'URI:secondsite:t/admin/x',
    'URI:secondsite:t/agent/x/y',
    'URI:secondsite:t/agent/a.b',
    'URI:secondsite:t/agent/x, URI:secondsite:t/master-target/y',
    'URI:"secondsite:t/agent/x, DNS:y"',
    'DNS:URI:secondsite:t/agent/x',
    'URI:https://secondsite:t/agent/x',
  ])('is refused in %s', (subjectaltname) => {
    expect(() => peerIdentity({ subjectaltname })).toThrow(expect.objectContaining({ code: 'tls/foreign-certificate' }));
  });
});
