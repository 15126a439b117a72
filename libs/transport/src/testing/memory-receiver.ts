// SPDX-License-Identifier: Apache-2.0
import type { ChangeSetHandler, CompareOutcome, CompareRequest, PositionOutcome, StoreOutcome, StoreRequest } from '../change-set-protocol';

/** A receiver that keeps change sets in memory: the fake of the handler port. Counts as durable and applied at once what it has. */
export class MemoryReceiver implements ChangeSetHandler {
  readonly requests: StoreRequest[] = [];
  /** Answered instead of storing, once each, first in first out. */
  readonly answers: (() => StoreOutcome | Promise<StoreOutcome>)[] = [];
  private readonly highest = new Map<string, { epoch: number; sequence: number }>();

  constructor(private readonly creditBytes = 64 * 1024 * 1024) {}

  async store(request: StoreRequest): Promise<StoreOutcome> {
    const answer = this.answers.shift();
    if (answer !== undefined) return answer();
    const { pairId, epoch, sequence } = request;
    const last = this.highest.get(pairId) ?? { epoch: 0, sequence: 0 };
    if (epoch < last.epoch) {
      return { kind: 'refused', code: 'change-set/old-epoch', detail: `epoch ${epoch} is over`, hint: 'Start a new epoch.' };
    }
    this.requests.push(request);
    const now = epoch > last.epoch || sequence > last.sequence ? { epoch, sequence } : last;
    this.highest.set(pairId, now);
    return { kind: 'stored', appliedEpoch: now.epoch, appliedSequence: now.sequence, creditBytes: this.creditBytes };
  }

  async position({ pairId }: { pairId: string }): Promise<PositionOutcome> {
    const last = this.highest.get(pairId);
    if (last === undefined) return { kind: 'refused', code: 'change-set/unknown-pair', detail: 'no such pair', hint: 'Create it first.' };
    return { kind: 'known', ...last, appliedEpoch: last.epoch, appliedSequence: last.sequence, creditBytes: this.creditBytes };
  }

  /** Answers with the question, byte for byte. */
  async compare({ question }: CompareRequest): Promise<CompareOutcome> {
    return { kind: 'compared', answer: question };
  }
}
