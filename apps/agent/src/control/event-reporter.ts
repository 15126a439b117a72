// SPDX-License-Identifier: Apache-2.0
import { BLOCK_BYTES } from '@secondsite/block-checksums';
import type { ResyncReason } from '@secondsite/change-set';
import type { EventOutlet } from '@secondsite/component';
import {
  bitmapModeEnteredV1, bitmapModeLeftV1, bookmarkCreatedV2, bookmarkFailedV1, changeSetRefusedV1, type CloudEvent, flowControlEndedV1,
  flowControlStartedV1, resyncChosenV1, resyncCauseWords, resyncComparedV1, resyncReadV1, resyncRequiredV2, resyncStartedV1,
  volumeGrownV1, volumeRestoredV1, volumeShrunkV1,
} from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { BookmarkReport } from '../host/agent-host';
import type { ReplicationFact } from '../volume/replication-fact';
import type { FactReporter } from './fact-reporter';

const REASON_CHARACTERS_MAX = 500;
const reasonOfEvent = { none: 'restart', baseline: 'baseline', 'agent-crash': 'restart', 'bitmap-mode': 'bitmap-mode', 'target-request': 'requested', 'tap-interrupted': 'gap', 'stream-broken': 'gap', 'replica-lost': 'gap', 'bitmap-lost': 'gap', 'volume-grown': 'gap' } as const satisfies Record<ResyncReason, string>;

/** Turns facts into events of the control plane. */
export class EventReporter implements FactReporter {
  readonly #outlet: EventOutlet;

  constructor(outlet: EventOutlet) {
    this.#outlet = outlet;
  }

  replication(fact: ReplicationFact): void {
    this.#outlet.publish(this.#eventOf(fact), fact.kind);
  }

  bookmark(report: BookmarkReport): void {
    this.#outlet.publish(this.#bookmarkEvent(report), `bookmark ${report.kind}`);
  }

  #eventOf(fact: ReplicationFact): CloudEvent {
    const { events, componentId } = this.#outlet;
    const { pairId } = fact;
    switch (fact.kind) {
      case 'bitmap-mode-entered':
        return events.make(bitmapModeEnteredV1, { pairId, epoch: fact.epoch, reason: fact.reason });
      case 'bitmap-mode-left':
        return events.make(bitmapModeLeftV1, { pairId, epoch: fact.epoch, dirtyBytes: fact.dirtyBytes });
      case 'resync-required':
        return events.make(resyncRequiredV2, { pairId, reason: reasonInWords(fact), work: fact.work });
      case 'resync-chosen': {
        const { epoch, work, cause, resyncBytes, volumeBytes, detail } = fact;
        return events.make(resyncChosenV1, { pairId, epoch, work, cause, resyncBytes, volumeBytes, ...(detail ? { detail: detail.slice(0, REASON_CHARACTERS_MAX) } : {}) });
      }
      case 'resync-started':
        return events.make(resyncStartedV1, { pairId, epoch: fact.epoch, reason: reasonOfEvent[fact.reason], dirtyBytes: fact.resyncBytes, totalBytes: fact.volumeBytes });
      case 'resync-compared': {
        const { comparedBlocks, sentBlocks, skippedBlocks } = fact;
        return events.make(resyncComparedV1, { pairId, epoch: fact.epoch, comparedBlocks, sentBlocks, skippedBlocks, blockBytes: BLOCK_BYTES });
      }
      case 'volume-grown':
        return events.make(volumeGrownV1, { pairId, fromBytes: fact.fromBytes, toBytes: fact.toBytes });
      case 'volume-shrunk':
        return events.make(volumeShrunkV1, { pairId, volumeBytes: fact.volumeBytes, sourceBytes: fact.sourceBytes });
      case 'volume-restored':
        return events.make(volumeRestoredV1, { pairId, volumeBytes: fact.volumeBytes });
      case 'resync-read':
        return events.make(resyncReadV1, { pairId, epoch: fact.epoch, sequence: fact.sequence });
      case 'flow-control-started':
        return events.make(flowControlStartedV1, { pairId, heldBytes: fact.heldBytes });
      case 'flow-control-ended':
        return events.make(flowControlEndedV1, { pairId, seconds: fact.seconds });
      case 'change-set-refused': {
        const { epoch, sequence, code, reason } = fact;
        return events.make(changeSetRefusedV1, { pairId, epoch, sequence, code, reason: (reason || code).slice(0, REASON_CHARACTERS_MAX), componentId });
      }
    }
  }

  #bookmarkEvent(report: BookmarkReport): CloudEvent {
    const { events, componentId } = this.#outlet;
    const { bookmarkId, name, level, planId } = report;
    const plan = planId === undefined ? {} : { planId };
    if (report.kind === 'failed') {
      return events.make(bookmarkFailedV1, { bookmarkId, name, ...plan, code: report.code, reason: report.reason.slice(0, REASON_CHARACTERS_MAX) });
    }
    const { time, heldMillis, cuts } = report.cut;
    const iso = isoFromMicros(time);
    const places = cuts.map(({ volumeId, pairId, epoch, sequence }) => ({ volumeId, pairId, epoch, sequence, time: iso }));
    const holds = [{ hostId: componentId, heldMillis }];
    return events.make(bookmarkCreatedV2, { bookmarkId, name, level, ...plan, time: iso, cuts: places, holds, hooks: [] });
  }
}

function reasonInWords({ cause, detail }: Extract<ReplicationFact, { kind: 'resync-required' }>): string {
  const words = resyncCauseWords[cause];
  return (detail ? `${words}: ${detail}` : words).slice(0, REASON_CHARACTERS_MAX);
}
