// SPDX-License-Identifier: Apache-2.0
import { verifyStored } from '@secondsite/change-set';
import type { ChangeSetHandler, CompareOutcome, CompareRequest, PositionOutcome, Refusal, StoreOutcome, StoreRequest } from '@secondsite/transport';
import { isOperationError, type TimeMicros } from '@secondsite/units';
import type { FactReporter } from '../control/control-plane';
import { counters } from '../control/counters';
import type { PairRegistry } from '../pair-registry';

export interface ChangeSetReceiverOptions {
  readonly pairs: PairRegistry;
  readonly reporter: FactReporter;
  readonly now: () => TimeMicros;
  /** The spool's disk failed: nothing more can be promised, the process has to start anew. */
  readonly onFatal: (error: Error) => void;
}

const reportAgainMicros = 10_000_000;

/** Decides about every change set that arrives: checks it, hands it to its pair, or refuses it. */
export class ChangeSetReceiver implements ChangeSetHandler {
  readonly #options: ChangeSetReceiverOptions;
  #foreignReportedAt = -Infinity;

  constructor(options: ChangeSetReceiverOptions) {
    this.#options = options;
  }

  async store(request: StoreRequest): Promise<StoreOutcome> {
    const { pairId, epoch, sequence } = request;
    const pair = this.#options.pairs.get(pairId);
    if (!pair) return this.#foreign(request);
    const content = request.body;
    const set = verifyStored(content);
    if (!set.ok) {
      pair.reportRefused({ epoch, sequence }, set);
      return { kind: 'corrupt', code: set.code, detail: set.detail, hint: 'Send the change set again; check the network and the memory of both machines.' };
    }
    const { header } = set;
    if (header.pairId !== pairId || header.epoch !== epoch || header.sequence !== sequence) {
      const detail = `the header says set ${header.sequence} of epoch ${header.epoch} of pair ${header.pairId}`;
      const refusal: Refusal = { kind: 'refused', code: 'change-set/wrong-address', detail, hint: 'Check the version of the agent.' };
      pair.reportRefused({ epoch, sequence }, refusal);
      return refusal;
    }
    try {
      pair.traceLate(request.lateTraces);
      return await pair.store(set, content, request.oldestPending);
    } catch (error) {
      if (isOperationError(error, 'segment-log/failed')) this.#options.onFatal(error);
      throw error;
    }
  }

  async position({ pairId }: { readonly pairId: string }): Promise<PositionOutcome> {
    const pair = this.#options.pairs.get(pairId);
    return pair ? { kind: 'known', ...(await pair.position()) } : this.#unknownPair(pairId);
  }

  async compare({ pairId, epoch, sequence, question }: CompareRequest): Promise<CompareOutcome> {
    const pair = this.#options.pairs.get(pairId);
    return pair ? pair.compare(question, { epoch, sequence }) : this.#unknownPair(pairId);
  }

  /** Reported at most every ten seconds, whatever the pair: the sender chooses the id. */
  #foreign({ pairId, epoch, sequence }: StoreRequest): StoreOutcome {
    const outcome = this.#unknownPair(pairId);
    const now = this.#options.now();
    if (outcome.kind === 'refused' && now - this.#foreignReportedAt >= reportAgainMicros) {
      this.#foreignReportedAt = now;
      this.#options.reporter.report({ kind: 'change-set-refused', pairId, epoch, sequence, code: outcome.code, reason: outcome.detail });
    }
    return outcome;
  }

  /** Before the first desired state every pair is unknown, and that passes. */
  #unknownPair(pairId: string) {
    const code = 'change-set/unknown-pair';
    counters.refusedSets.add(1, { code });
    if (this.#options.pairs.revision === undefined) {
      return { kind: 'held-off' as const, code, detail: 'this process server does not know its pairs yet', retryAfterMillis: 1000 };
    }
    const hint = 'The pair is not assigned to this process server; check the plan, or wait until the assignment has arrived.';
    return { kind: 'refused' as const, code, detail: `pair ${pairId} is not assigned here`, hint };
  }
}
