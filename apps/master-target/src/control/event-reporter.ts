// SPDX-License-Identifier: Apache-2.0
import type { ResyncReason } from '@secondsite/change-set';
import type { EventOutlet } from '@secondsite/component';
import {
  changeSetAppliedV2, changeSetRefusedV1, type CloudEvent, coldStoreFailedV1, coldStoreRecoveredV1, damageFoundV1, damageRepairedV1, differentialSyncReachedV1,
  replicationRecoveredV1, replicationStalledV1, resyncReadV1, resyncRequiredV2, resyncStartedV1, retentionShortenedV1, scrubCompletedV1,
} from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { PairEvent } from '../pair/pair-types';
import type { OverAllocation, TargetReporter } from './control-plane';

const REASON_CHARACTERS = 500;
/** `change-set-applied` is said at most so often for a pair; the next one covers what was left out. */
const APPLIED_MILLIS = 1000;

const reasonOnBus: Readonly<Record<ResyncReason, 'baseline' | 'bitmap-mode' | 'restart' | 'gap' | 'requested'>> = {
  none: 'restart', baseline: 'baseline', 'agent-crash': 'restart', 'bitmap-mode': 'bitmap-mode', 'target-request': 'requested', 'tap-interrupted': 'gap',
  'stream-broken': 'gap', 'replica-lost': 'gap', 'bitmap-lost': 'gap', 'volume-grown': 'gap',
};

/** Turns facts into events. */
export class EventReporter implements TargetReporter {
  readonly #outlet: EventOutlet;
  readonly #nowMillis: () => number;
  readonly #lastApplied = new Map<string, number>();

  constructor(outlet: EventOutlet, nowMillis: () => number = () => performance.now()) {
    this.#outlet = outlet;
    this.#nowMillis = nowMillis;
  }

  pairEvent(pairId: string, event: PairEvent): void {
    if (event.kind === 'applied' && !this.#isDue(pairId)) return;
    const made = this.#eventOf(pairId, event);
    if (made) this.#outlet.publish(made, event.kind, { replacesOlder: event.kind === 'applied' });
  }

  overAllocated(pairId: string, { neededBytes, availableBytes }: OverAllocation): void {
    const reason = `over-allocation refused: replicas and retention need ${neededBytes} bytes, ${availableBytes} are there; shorten retention or add space`;
    this.#outlet.publish(this.#stalled(pairId, reason), 'over-allocation');
  }

  #isDue(pairId: string): boolean {
    const now = this.#nowMillis();
    if (now - (this.#lastApplied.get(pairId) ?? -Infinity) < APPLIED_MILLIS) return false;
    this.#lastApplied.set(pairId, now);
    return true;
  }

  #eventOf(pairId: string, event: PairEvent): CloudEvent | undefined {
    const { events, componentId } = this.#outlet;
    switch (event.kind) {
      case 'applied': {
        const { epoch, sequence, traceparent } = event;
        const data = { pairId, epoch, sequence, coveredTime: isoFromMicros(event.coveredTime), appliedAt: isoFromMicros(event.appliedAt) };
        return events.make(changeSetAppliedV2, data, { traceparent });
      }
      case 'resync-started':
        return events.make(resyncStartedV1, { pairId, epoch: event.epoch, reason: reasonOnBus[event.reason], dirtyBytes: event.resyncBytes, totalBytes: event.volumeBytes });
      case 'resync-read':
        return events.make(resyncReadV1, { pairId, epoch: event.epoch, sequence: event.sequence });
      case 'differential-sync-reached':
        return events.make(differentialSyncReachedV1, { pairId, epoch: event.epoch, sequence: event.sequence, coveredTime: isoFromMicros(event.coveredTime) });
      case 'refused':
        return events.make(changeSetRefusedV1, { pairId, epoch: event.epoch, sequence: event.sequence, code: event.code, reason: short(event.reason), componentId });
      case 'resync-required':
        return events.make(resyncRequiredV2, { pairId, reason: short(event.reason), work: 'regions' });
      case 'fault':
        return this.#stalled(pairId, `${event.code}: ${event.hint}`);
      case 'fault-ended':
        return events.make(replicationRecoveredV1, { pairId, stalledSeconds: event.seconds, coveredTime: isoFromMicros(event.coveredTime) });
      case 'retention-shortened': {
        const { cause, promisedMicros, availableMicros, journalBytes, earliestPoint } = event;
        const data = { pairId, cause, promisedSeconds: promisedMicros / 1e6, availableSeconds: availableMicros / 1e6, journalBytes };
        return events.make(retentionShortenedV1, { ...data, ...(earliestPoint !== undefined && { earliestPoint: isoFromMicros(earliestPoint) }) });
      }
      case 'damage-found': {
        const { kind: _, ...found } = event;
        if (found.place === 'replica') return events.make(damageFoundV1, { pairId, componentId, ...found });
        return events.make(damageFoundV1, { pairId, componentId, ...found, before: isoFromMicros(found.before) });
      }
      case 'damage-repaired': {
        const { offset, bytes, isLost, at } = event;
        return events.make(damageRepairedV1, { pairId, offset, bytes, ...(isLost && { lostBefore: isoFromMicros(at) }) });
      }
      case 'scrub-ended': {
        const { startedAt, endedAt, readBytes, damagedBytes } = event;
        return events.make(scrubCompletedV1, { pairId, readBytes, damagedBytes, startedAt: isoFromMicros(startedAt), endedAt: isoFromMicros(endedAt) });
      }
      case 'cold-store-failed':
        return events.make(coldStoreFailedV1, { pairId, affects: event.affects, code: event.code, reason: short(event.hint), waitingBytes: event.waitingBytes });
      case 'cold-store-recovered':
        return events.make(coldStoreRecoveredV1, { pairId, affects: event.affects, failedSeconds: event.seconds });
      case 'bookmark-applied':
        // The bookmark itself is announced by who made it; here it only becomes recoverable.
        return undefined;
    }
  }

  #stalled(pairId: string, reason: string): CloudEvent {
    return this.#outlet.events.make(replicationStalledV1, { pairId, stalledSeconds: 0, waitsAt: 'master-target', reason: short(reason) });
  }
}

function short(reason: string): string {
  return reason.slice(0, REASON_CHARACTERS);
}
