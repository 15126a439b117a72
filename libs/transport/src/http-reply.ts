// SPDX-License-Identifier: Apache-2.0
import { isOperationError, OperationError } from '@secondsite/units';
import {
  type CompareAnswer, type CopyAnswer, DAMAGED_RANGES_MAX, type DamagedRange, type HeldOff, type PairPosition, type PositionAnswer, type Progress, type PutOutcome, type Refusal, type Unreachable,
} from './change-set-protocol';

/** What came back from the receiver, unread. */
export interface HttpReply {
  readonly status: number;
  readonly body: Buffer;
  readonly retryAfter: string | undefined;
}

const retryMillisDefault = 1000;
const retryMillisMax = 60_000;
/** Refused for good. Everything else that is no success can pass, so the sender tries again. */
const finalStatuses: readonly number[] = [400, 403, 404, 405, 409, 410, 411, 413, 414, 422, 431];

export function putOutcomeFromReply(reply: HttpReply): PutOutcome {
  if (reply.status !== 200) return failureFromReply(reply);
  const fields = parseObject(reply.body);
  const progress = fields?.durable === true ? progressFrom(fields) : undefined;
  return progress === undefined ? badAnswer(reply) : { kind: 'stored', ...progress };
}

export function positionFromReply(reply: HttpReply): PositionAnswer {
  if (reply.status !== 200) return failureFromReply(reply);
  const fields = parseObject(reply.body);
  const position = fields === undefined ? undefined : positionFrom(fields);
  return position === undefined ? badAnswer(reply) : { kind: 'known', ...position };
}

export function compareAnswerFromReply(reply: HttpReply): CompareAnswer {
  return reply.status === 200 ? { kind: 'compared', answer: reply.body } : failureFromReply(reply);
}

export function copyAnswerFromReply(reply: HttpReply): CopyAnswer {
  return reply.status === 200 ? { kind: 'copied', answer: reply.body } : failureFromReply(reply);
}

/** Makes any error of the connection an outcome that says what to look at. */
export function unreachable(cause: unknown, base: URL): Unreachable {
  if (isOperationError(cause)) return { kind: 'unreachable', cause };
  const code = tlsRefusal.test(errorCode(cause)) ? 'tls/foreign-certificate' : 'transport/unreachable';
  const context = { host: base.host, reason: errorCode(cause) };
  const hint = code === 'transport/unreachable' && base.protocol === 'https:' ? `${hints[code]} ${resetHint}` : hints[code];
  return { kind: 'unreachable', cause: new OperationError({ code, operation: 'send to the next hop', context, retryable: true, hint, cause }) };
}

const hints = {
  'tls/foreign-certificate':
    'One side does not accept the certificate of the other; check which authority issued them, that they have not expired, and the clocks.',
  'transport/unreachable': 'Check that the receiver runs and that the network lets connections to it through; sending goes on by itself.',
};
const resetHint = 'A receiver that does not trust our certificate closes the connection too: its log names the reason.';

const tlsRefusal = /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|EPROTO$|HOSTNAME_MISMATCH)/;

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function failureFromReply(reply: HttpReply): HeldOff | (Refusal & { status: number }) | Unreachable {
  const fields = parseObject(reply.body) ?? {};
  const code = textOr(fields.code, `transport/status-${reply.status}`);
  const detail = textOr(fields.detail, `the receiver answered ${reply.status}`);
  if (finalStatuses.includes(reply.status)) {
    return { kind: 'refused', status: reply.status, code, detail, hint: textOr(fields.hint, 'See the log of the receiver.'), ...missingBlocks(fields) };
  }
  if (reply.status !== 429 && reply.status < 500) return badAnswer(reply);
  return { kind: 'held-off', retryAfterMillis: retryMillis(fields.retryAfterMillis, reply.retryAfter), code, detail };
}

function missingBlocks({ missingBlocks: indexes }: Fields): Pick<Refusal, 'missingBlocks'> {
  return Array.isArray(indexes) ? { missingBlocks: indexes.filter(isCount) } : {};
}

function badAnswer({ status }: HttpReply): Unreachable {
  const hint = 'What answers at this address is no receiver of change sets of this version; check the address.';
  const error = new OperationError({ code: 'transport/bad-answer', operation: 'read the answer', context: { status }, retryable: true, hint });
  return { kind: 'unreachable', cause: error };
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(body: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function progressFrom(fields: Fields): Progress | undefined {
  const { appliedEpoch, appliedSequence, creditBytes, retryAfterMillis } = fields;
  const damaged = damagedFrom(fields.damaged);
  if (!isCount(appliedEpoch) || !isCount(appliedSequence) || !isCount(creditBytes)) return undefined;
  return { appliedEpoch, appliedSequence, creditBytes, ...(isCount(retryAfterMillis) ? { retryAfterMillis } : {}), ...(damaged.length === 0 ? {} : { damaged }) };
}

function damagedFrom(field: unknown): DamagedRange[] {
  const ranges: unknown[] = Array.isArray(field) ? field : [];
  return ranges.filter(isRange).slice(0, DAMAGED_RANGES_MAX).map(({ offset, length }) => ({ offset, length }));
}

function isRange(value: unknown): value is DamagedRange {
  if (typeof value !== 'object' || value === null || !('offset' in value) || !('length' in value)) return false;
  return isCount(value.offset) && isCount(value.length) && value.length > 0;
}

function positionFrom(fields: Fields): PairPosition | undefined {
  const progress = progressFrom(fields);
  const { epoch, sequence } = fields;
  if (progress === undefined || !isCount(epoch) || !isCount(sequence)) return undefined;
  return { epoch, sequence, ...progress };
}

function retryMillis(ownField: unknown, header: string | undefined): number {
  if (isCount(ownField)) return Math.min(ownField, retryMillisMax);
  const seconds = header === undefined ? Number.NaN : Number(header);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, retryMillisMax) : retryMillisDefault;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
