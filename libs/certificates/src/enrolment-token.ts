// SPDX-License-Identifier: Apache-2.0
// Purpose: one-time enrolment tokens `ss1.<secret>.<fingerprint>`: 256 random bits, of which only a hash is stored, and the SHA-256 of the
// authority's certificate, so that the first connection can check the server. The decider is pure; persistence is the store's.
import { OperationError } from '@secondsite/units';
import { createHash, randomBytes } from 'node:crypto';
import type { ComponentRole } from './peer-identity';

/** What is stored of a token. It tells nothing that would help to use it. */
export interface EnrolmentTokenRecord {
  /** SHA-256 of the secret part, hexadecimal. */
  readonly tokenHash: string;
  readonly tenantId: string;
  readonly role: ComponentRole;
  /** Milliseconds since 1970. */
  readonly expiresAtMillis: number;
  readonly use?: EnrolmentTokenUse;
}

export interface EnrolmentTokenUse {
  readonly usedAtMillis: number;
  readonly componentId: string;
  /** SHA-256 of the public key that was certified; the same machine may repeat its request when the answer was lost. */
  readonly publicKeySha256: string;
}

/** Keeps token records (port; PostgreSQL in the configuration server). */
export interface EnrolmentTokenStore {
  find(tokenHash: string): Promise<EnrolmentTokenRecord | undefined>;
  /** Records the use, durable on return. False when the token has been used meanwhile: of two at once only one gets true. */
  markUsed(tokenHash: string, use: EnrolmentTokenUse): Promise<boolean>;
}

export type EnrolmentRefusal = 'enrolment/token-unknown' | 'enrolment/token-used' | 'enrolment/token-expired';

/** `repeat`: the token was used by the same key; the same component gets its certificate again. */
export type EnrolmentDecision =
  | { readonly kind: 'accepted'; readonly record: EnrolmentTokenRecord }
  | { readonly kind: 'repeat'; readonly record: EnrolmentTokenRecord; readonly componentId: string }
  | { readonly kind: 'refused'; readonly code: EnrolmentRefusal };

export interface NewEnrolmentToken {
  /** Shown once to the person who asked; a secret. */
  readonly text: string;
  readonly record: EnrolmentTokenRecord;
}

const tokenPattern = /^ss1\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})$/;

export function createEnrolmentToken(
  token: Omit<EnrolmentTokenRecord, 'tokenHash' | 'use'> & { readonly authorityFingerprint: string },
): NewEnrolmentToken {
  const { authorityFingerprint, tenantId, role, expiresAtMillis } = token;
  const secret = randomBytes(32).toString('base64url');
  return { text: `ss1.${secret}.${authorityFingerprint}`, record: { tokenHash: hashSecret(secret), tenantId, role, expiresAtMillis } };
}

export interface ParsedEnrolmentToken {
  readonly tokenHash: string;
  readonly authorityFingerprint: string;
}

/** Undefined for text that is no token. */
export function parseEnrolmentToken(text: string): ParsedEnrolmentToken | undefined {
  const [, secret, authorityFingerprint] = tokenPattern.exec(text.trim()) ?? [];
  if (secret === undefined || authorityFingerprint === undefined) return undefined;
  return { tokenHash: hashSecret(secret), authorityFingerprint };
}

/** Pure: may this key enrol with this token now? */
export function decideEnrolment(
  record: EnrolmentTokenRecord | undefined,
  { nowMillis, publicKeySha256 }: { readonly nowMillis: number; readonly publicKeySha256: string },
): EnrolmentDecision {
  if (record === undefined) return { kind: 'refused', code: 'enrolment/token-unknown' };
  if (nowMillis >= record.expiresAtMillis) return { kind: 'refused', code: 'enrolment/token-expired' };
  if (record.use === undefined) return { kind: 'accepted', record };
  if (record.use.publicKeySha256 === publicKeySha256) return { kind: 'repeat', record, componentId: record.use.componentId };
  return { kind: 'refused', code: 'enrolment/token-used' };
}

const refusalHints: Record<EnrolmentRefusal, string> = {
  'enrolment/token-unknown': 'The configuration server never issued this token; copy it whole, or create a new one with `secondsite enroll token`.',
  'enrolment/token-used': 'A token enrols one component once; create a new one with `secondsite enroll token`. If you did not use it, find out who did.',
  'enrolment/token-expired': 'The time of this token is over; create a new one with `secondsite enroll token`.',
};

export function enrolmentRefused(code: EnrolmentRefusal): OperationError {
  return new OperationError({ code, operation: 'enrol', retryable: false, hint: refusalHints[code] });
}

function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
