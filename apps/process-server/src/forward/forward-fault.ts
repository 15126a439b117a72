// SPDX-License-Identifier: Apache-2.0
import { type PairPosition, type PutOutcome } from '@secondsite/transport';
import { isOperationError } from '@secondsite/units';
import type { EpochQueue } from '../spool/epoch-queue';

/** Why a pair does not advance, in words for an operator. */
export interface ForwardFault {
  readonly code: string;
  readonly hint: string;
}

export type ForwardFailure = Exclude<PutOutcome, { readonly kind: 'stored' }> | ({ readonly kind: 'unreadable' } & ForwardFault);

/** In words, when the target does not have what it confirmed. */
export function lostAtTarget({ epoch, forwarded }: EpochQueue, target: PairPosition): string | undefined {
  if (forwarded === 0 || target.epoch > epoch) return undefined;
  const has = target.epoch === epoch ? target.sequence : 0;
  return has < forwarded ? `the master target has ${has} sets of epoch ${epoch}, ${forwarded} were confirmed` : undefined;
}

export function faultOf(outcome: ForwardFailure): ForwardFault {
  if (outcome.kind === 'unreachable') {
    const { cause } = outcome;
    return isOperationError(cause) ? { code: cause.code, hint: cause.hint } : { code: 'transport/unreachable', hint: cause.message };
  }
  if (outcome.kind === 'held-off') return { code: outcome.code, hint: `The master target holds this process server off: ${outcome.detail}.` };
  return { code: outcome.code, hint: outcome.hint };
}
