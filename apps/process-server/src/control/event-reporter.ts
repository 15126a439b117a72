// SPDX-License-Identifier: Apache-2.0
import {
  changeSetRefusedV1, type CloudEvent, type EventMaker, flowControlEndedV1, flowControlStartedV1, peerRefusedV1, resyncRequiredV1,
} from '@secondsite/contracts';
import type { FactReporter, ProcessServerFact } from './control-plane';

export interface EventReporterOptions {
  readonly events: EventMaker;
  /** Durable on this machine when it resolves; reaches the bus when that is there. */
  readonly publish: (event: CloudEvent) => Promise<void>;
  readonly componentId: string;
  /** The fact was lost (the file of pending events is full or cannot be written). */
  readonly onLost: (error: unknown, fact: string) => void;
}

const reasonCharactersMax = 500;

/** Turns facts into events. */
export class EventReporter implements FactReporter {
  readonly #options: EventReporterOptions;

  constructor(options: EventReporterOptions) {
    this.#options = options;
  }

  report(fact: ProcessServerFact): void {
    this.#publish(this.#eventOf(fact), fact.kind);
  }

  #publish(event: CloudEvent, name: string): void {
    this.#options.publish(event).catch((error: unknown) => this.#options.onLost(error, name));
  }

  #eventOf(fact: ProcessServerFact): CloudEvent {
    const { events, componentId } = this.#options;
    switch (fact.kind) {
      case 'flow-control-started':
        return events.make(flowControlStartedV1, { pairId: fact.pairId, heldBytes: fact.heldBytes });
      case 'flow-control-ended':
        return events.make(flowControlEndedV1, { pairId: fact.pairId, seconds: fact.seconds });
      case 'resync-required':
        return events.make(resyncRequiredV1, { pairId: fact.pairId, reason: fact.reason.slice(0, reasonCharactersMax) });
      case 'peer-refused': {
        const { code, reason, remoteAddress } = fact;
        return events.make(peerRefusedV1, { componentId, role: 'process-server', code, reason: reason.slice(0, reasonCharactersMax), remoteAddress });
      }
      case 'change-set-refused': {
        const { pairId, epoch, sequence, code } = fact;
        return events.make(changeSetRefusedV1, { pairId, epoch, sequence, code, reason: fact.reason.slice(0, reasonCharactersMax), componentId });
      }
    }
  }
}
