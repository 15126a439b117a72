// SPDX-License-Identifier: Apache-2.0
import { BLOCK_BYTES } from '@secondsite/block-checksums';
import type { ResyncReason } from '@secondsite/change-set';
import type { EventOutlet } from '@secondsite/component';
import {
  bitmapModeEnteredV1, bitmapModeLeftV1, bookmarkCreatedV1, bookmarkFailedV1, changeSetRefusedV1, type CloudEvent, flowControlEndedV1,
  flowControlStartedV1, resyncComparedV1, resyncReadV1, resyncRequiredV1, resyncStartedV1,
} from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { BookmarkReport } from '../host/agent-host';
import type { ReplicationFact } from '../volume/replication-fact';
import type { FactReporter } from './fact-reporter';

const REASON_CHARACTERS_MAX = 500;
const reasonOfEvent = { none: 'restart', baseline: 'baseline', 'agent-crash': 'restart', 'bitmap-mode': 'bitmap-mode', 'target-request': 'requested', 'tap-interrupted': 'gap' } as const satisfies Record<ResyncReason, string>;

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
        return events.make(resyncRequiredV1, { pairId, reason: fact.reason.slice(0, REASON_CHARACTERS_MAX) });
      case 'resync-started':
        return events.make(resyncStartedV1, { pairId, epoch: fact.epoch, reason: reasonOfEvent[fact.reason], dirtyBytes: fact.resyncBytes, totalBytes: fact.volumeBytes });
      case 'resync-compared': {
        const { comparedBlocks, sentBlocks, skippedBlocks } = fact;
        return events.make(resyncComparedV1, { pairId, epoch: fact.epoch, comparedBlocks, sentBlocks, skippedBlocks, blockBytes: BLOCK_BYTES });
      }
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
    const { events } = this.#outlet;
    const { bookmarkId, name, level, planId } = report;
    const plan = planId === undefined ? {} : { planId };
    if (report.kind === 'failed') {
      return events.make(bookmarkFailedV1, { bookmarkId, name, ...plan, code: report.code, reason: report.reason.slice(0, REASON_CHARACTERS_MAX) });
    }
    const { time, heldMillis, cuts } = report.cut;
    const places = cuts.map(({ volumeId, pairId, epoch, sequence }) => ({ volumeId, pairId, epoch, sequence }));
    return events.make(bookmarkCreatedV1, { bookmarkId, name, level, ...plan, time: isoFromMicros(time), heldMillis, cuts: places });
  }
}
