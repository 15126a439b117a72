// SPDX-License-Identifier: Apache-2.0
import type { EventOutlet } from '@secondsite/component';
import {
  changeSetRefusedV1, type CloudEvent, damageFoundV1, flowControlEndedV1, flowControlStartedV1, resyncRequiredV2,
} from '@secondsite/contracts';
import type { FactReporter, ProcessServerFact } from './control-plane';

const reasonCharactersMax = 500;

/** Turns facts into events. */
export class EventReporter implements FactReporter {
  readonly #outlet: EventOutlet;

  constructor(outlet: EventOutlet) {
    this.#outlet = outlet;
  }

  report(fact: ProcessServerFact): void {
    this.#outlet.publish(this.#eventOf(fact), fact.kind);
  }

  #eventOf(fact: ProcessServerFact): CloudEvent {
    const { events, componentId } = this.#outlet;
    switch (fact.kind) {
      case 'flow-control-started':
        return events.make(flowControlStartedV1, { pairId: fact.pairId, heldBytes: fact.heldBytes });
      case 'flow-control-ended':
        return events.make(flowControlEndedV1, { pairId: fact.pairId, seconds: fact.seconds });
      case 'resync-required':
        return events.make(resyncRequiredV2, { pairId: fact.pairId, reason: fact.reason.slice(0, reasonCharactersMax), work: 'regions' });
      case 'damage-found':
        return events.make(damageFoundV1, { pairId: fact.pairId, place: 'spool', bytes: fact.bytes, componentId });
      case 'change-set-refused': {
        const { pairId, epoch, sequence, code } = fact;
        return events.make(changeSetRefusedV1, { pairId, epoch, sequence, code, reason: fact.reason.slice(0, reasonCharactersMax), componentId });
      }
    }
  }
}
