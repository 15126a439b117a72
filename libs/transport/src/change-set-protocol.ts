// SPDX-License-Identifier: Apache-2.0
// The data plane's protocol, agent → process server → master target: HTTP/1.1, one PUT per change set, one POST per question what differs
// at the replica, one POST per question of a copy of a pair (master target → master target, ADR 21); all of it repeatable without harm.
import type { PeerIdentity } from '@secondsite/certificates';
import type { ByteCount, ByteOffset, Epoch, SequenceNumber } from '@secondsite/units';
import type { ChangeSetPlace } from './late-traces';

/** Names one change set. */
export interface ChangeSetKey {
  /** UUID in lower case. */
  readonly pairId: string;
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

/** How far the master target has durably applied a pair's stream, and how much more the sender may have on its way. */
export interface Progress {
  readonly appliedEpoch: Epoch;
  readonly appliedSequence: SequenceNumber;
  /** 0: hold off, for `retryAfterMillis` when given. */
  readonly creditBytes: ByteCount;
  readonly retryAfterMillis?: number;
  /**
   * Ranges of the replica that do not hold what was written to them: its disk changed them. The source puts what it holds there into the stream.
   * Told with every answer until the replica is right again; at most 64 of them, absent when there are none.
   */
  readonly damaged?: readonly DamagedRange[];
}

export interface DamagedRange {
  readonly offset: ByteOffset;
  readonly length: ByteCount;
}

export const DAMAGED_RANGES_MAX = 64;

/** Where a receiver is: the highest change set below which it misses none, durable; and how far it is applied. */
export interface PairPosition extends Progress {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

/** A refusal for good: repeating the same request cannot help. */
export interface Refusal {
  readonly kind: 'refused';
  /** E.g. `change-set/old-epoch`, `change-set/unknown-pair`, `change-set/corrupt`. */
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  /** With BLOCKS_MISSING: the references that cannot be resolved, as indexes into those of the set, ascending. */
  readonly missingBlocks?: readonly number[] | undefined;
}

/** A referring set (libs/wan-deduplication) names blocks that the target does not have; the set has to come in full. */
export const BLOCKS_MISSING = 'change-set/blocks-missing';
/** Refused because a newer epoch has begun. */
export const OLD_EPOCH = 'change-set/old-epoch';
/** Refused because the replica does not hold what the epoch builds on: only an epoch that brings the whole volume is taken. */
export const REPLICA_LACKS_BASE = 'change-set/replica-lacks-base';

/** True when nothing more of the set's epoch will be taken, so that only a new one helps. */
export function endsEpoch(code: string): boolean {
  return code === OLD_EPOCH || code === REPLICA_LACKS_BASE;
}

/** Not now: the change set was not stored, try again later. */
export interface HeldOff {
  readonly kind: 'held-off';
  readonly retryAfterMillis: number;
  /** `change-set/flow-controlled`, `storage/no-space` or another reason that passes. */
  readonly code: string;
  readonly detail: string;
}

/** The change set is durable at the receiver. */
export type Stored = { readonly kind: 'stored' } & Progress;

/**
 * What arrived at the server. The handler owns `body`, whose memory may be longer than it: nobody else reads or writes it afterwards, threads
 * can share it (small bodies are copied), and its memory may be given back to the server's pool.
 */
export interface StoreRequest extends ChangeSetKey {
  /** The change set as in the change set FORMAT, or a referring set that stands for it; unchecked. */
  readonly body: Uint8Array;
  /** W3C trace context of the sender's request. */
  readonly traceparent: string | undefined;
  /** The sender has none of the epoch's sets before this one any more: all of them were answered. Undefined: it did not say. */
  readonly oldestPending: SequenceNumber | undefined;
  /** Sets of the pair whose traces are recorded although their own headers do not say so; mostly others than this one. */
  readonly lateTraces: readonly ChangeSetPlace[];
  /** Undefined only without TLS (development switch). */
  readonly peer: PeerIdentity | undefined;
}

/** `corrupt` is a refusal that says that the bytes are damaged: the sender has to send them again from its own copy. */
export type StoreOutcome = Stored | HeldOff | Refusal | (Omit<Refusal, 'kind'> & { readonly kind: 'corrupt' });

export type PositionOutcome = ({ readonly kind: 'known' } & PairPosition) | HeldOff | Refusal;

/** Asks what of a part of the volume differs at the replica, after the change set of the key or a later one of its epoch was applied. */
export interface CompareRequest extends ChangeSetKey {
  /** A question as in the format of libs/block-checksums; unchecked. */
  readonly question: Uint8Array;
  readonly peer: PeerIdentity | undefined;
}

/** `answer`: in the format of libs/block-checksums. Held off also while the change set of the key is not applied. */
export type CompareOutcome = { readonly kind: 'compared'; readonly answer: Uint8Array } | HeldOff | Refusal;

/** A question of another master target that copies the pair; what may be asked is between the two. */
export interface CopyRequest {
  readonly pairId: string;
  /** Unchecked. */
  readonly question: Uint8Array;
  readonly peer: PeerIdentity | undefined;
}

export type CopyOutcome = { readonly kind: 'copied'; readonly answer: Uint8Array } | HeldOff | Refusal;

/**
 * What a receiver does with change sets (port). Both may throw an OperationError: whatever its code, the sender is held off and tries again
 * (507 for `storage/no-space`, 503 when retryable, else 500); only an outcome refuses for good. Any other error is a bug and ends the process.
 */
export interface ChangeSetHandler {
  /** Returns `stored` only when the change set is durable. Idempotent: a set that is already there is `stored` again. */
  store(request: StoreRequest): Promise<StoreOutcome>;
  position(request: { readonly pairId: string; readonly peer: PeerIdentity | undefined }): Promise<PositionOutcome>;
  /** Changes nothing. */
  compare(request: CompareRequest): Promise<CompareOutcome>;
  /** Absent: nothing can be copied from here. */
  copy?(request: CopyRequest): Promise<CopyOutcome>;
}

/** The peer cannot be reached or does not speak the protocol; whether it stored the change set is unknown, so send it again. */
export interface Unreachable {
  readonly kind: 'unreachable';
  /** OperationError: `transport/unreachable`, `transport/timeout`, `transport/cancelled`, `transport/bad-answer`, `tls/foreign-certificate`. */
  readonly cause: Error;
}

/** `refused` carries the HTTP status: 422 means that the bytes arrived damaged. */
export type PutOutcome = Stored | HeldOff | (Refusal & { readonly status: number }) | Unreachable;

export type PositionAnswer = ({ readonly kind: 'known' } & PairPosition) | HeldOff | (Refusal & { readonly status: number }) | Unreachable;

/** A receiver of before this question refuses it with status 404. */
export type CompareAnswer = { readonly kind: 'compared'; readonly answer: Uint8Array } | HeldOff | (Refusal & { readonly status: number }) | Unreachable;

export type CopyAnswer = { readonly kind: 'copied'; readonly answer: Uint8Array } | HeldOff | (Refusal & { readonly status: number }) | Unreachable;

const pairPattern = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const keyPattern = new RegExp(`^/v1/pairs/(${pairPattern})/(change-sets|comparisons)/([1-9][0-9]{0,9})/([1-9][0-9]{0,15})$`);
const pairOnlyPattern = new RegExp(`^/v1/pairs/(${pairPattern})/(position|copy)$`);
const traceparentPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export type Route = (ChangeSetKey & { readonly kind: 'change-set' | 'comparison' }) | { readonly kind: 'position' | 'copy'; readonly pairId: string };

export function changeSetPath({ pairId, epoch, sequence }: ChangeSetKey): string {
  return `/v1/pairs/${pairId}/change-sets/${epoch}/${sequence}`;
}

export function comparisonPath({ pairId, epoch, sequence }: ChangeSetKey): string {
  return `/v1/pairs/${pairId}/comparisons/${epoch}/${sequence}`;
}

export function positionPath(pairId: string): string {
  return `/v1/pairs/${pairId}/position`;
}

export function copyPath(pairId: string): string {
  return `/v1/pairs/${pairId}/copy`;
}

/** Undefined for any path that is not exactly of the protocol (also for an epoch past 2^32-1 or a sequence past 2^53-1). */
export function parseRoute(path: string): Route | undefined {
  const ofPair = pairOnlyPattern.exec(path);
  if (ofPair) return { kind: ofPair[2] as 'position' | 'copy', pairId: ofPair[1] as string };
  const match = keyPattern.exec(path);
  if (!match) return undefined;
  const [epoch, sequence] = [Number(match[3]), Number(match[4])];
  if (epoch > 0xffffffff || !Number.isSafeInteger(sequence)) return undefined;
  return { kind: match[2] === 'comparisons' ? 'comparison' : 'change-set', pairId: match[1] as string, epoch, sequence };
}

/** Carries `oldestPending`. */
export const oldestPendingHeader = 'secondsite-oldest-pending';

/** Undefined for anything that is no sequence. */
export function sequenceFromHeader(value: string | undefined): SequenceNumber | undefined {
  const sequence = value !== undefined && /^[1-9][0-9]{0,15}$/.test(value) ? Number(value) : undefined;
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

export function validTraceparent(value: unknown): string | undefined {
  return typeof value === 'string' && traceparentPattern.test(value) ? value : undefined;
}
