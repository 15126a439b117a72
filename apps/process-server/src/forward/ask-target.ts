// SPDX-License-Identifier: Apache-2.0
import type { CompareOutcome } from '@secondsite/transport';
import { isOperationError } from '@secondsite/units';
import type { StreamPlace } from '../spool/pair-state';
import type { PairForwarder } from './pair-forwarder';

const awayMillis = 1000;
/** Refusals that pass by themselves: the target has not heard of the pair yet. */
const notReady = 'change-set/unknown-pair';

/** Passes a question about the replica on, and makes of the target's answer one for the agent. `forwarder` is undefined while the pair is paused. */
export async function askTarget(forwarder: Pick<PairForwarder, 'compare'> | undefined, asked: { readonly question: Uint8Array; readonly place: StreamPlace }): Promise<CompareOutcome> {
  if (!forwarder) return { kind: 'held-off', code: 'forward/paused', detail: 'the pair is paused', retryAfterMillis: awayMillis };
  const answer = await forwarder.compare(asked.question, asked.place);
  if (answer.kind === 'unreachable') {
    const { cause } = answer;
    return { kind: 'held-off', code: isOperationError(cause) ? cause.code : 'transport/unreachable', detail: `the master target: ${cause.message}`, retryAfterMillis: awayMillis };
  }
  if (answer.kind !== 'refused' || answer.code !== notReady) return answer;
  return { kind: 'held-off', code: answer.code, detail: answer.detail, retryAfterMillis: awayMillis };
}
