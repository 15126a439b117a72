// SPDX-License-Identifier: Apache-2.0
// The control plane's part when the pair moves between its two process servers (ADR 20): what each machine should be doing, from step to step by what
// they show. It is never away, but every machine hears of it late.
import type { Handover } from '@secondsite/contracts';
import type { ProcessServerNode } from './process-server-node';
import type { ProtectedHost } from './protected-host';
import type { Scheduler } from './scheduler';
import type { SimulatedLink } from './simulated-link';

/** A process server and the way of the agent to it. */
export interface Place {
  readonly node: ProcessServerNode;
  readonly link: SimulatedLink;
}

export interface ProcessServerMovesOptions {
  readonly scheduler: Scheduler;
  readonly host: ProtectedHost;
  readonly places: readonly [Place, Place];
  /** What only the old process server holds may be lost. */
  readonly onGivenUp: () => void;
}

interface Leaving {
  readonly from: Place;
  readonly switched: boolean;
}

const LOOK_MICROS = 1_000_000;

export class ProcessServerMoves {
  readonly #options: ProcessServerMovesOptions;
  #current: Place;
  #leaving: Leaving | undefined;
  #move = 0;

  constructor(options: ProcessServerMovesOptions) {
    this.#options = options;
    this.#current = options.places[0];
    this.#apply();
    this.#look();
  }

  get isUnderWay(): boolean {
    return this.#leaving !== undefined;
  }

  /** To the other one; nothing while a move is under way. */
  begin(): void {
    if (this.#leaving) return;
    const { places } = this.#options;
    const from = this.#current;
    this.#move += 1;
    this.#leaving = { from, switched: false };
    this.#current = places[0] === from ? places[1] : places[0];
    this.#apply();
  }

  /** What only the old one holds is not waited for. */
  giveUp(): void {
    if (!this.#leaving) return;
    this.#options.onGivenUp();
    this.#leaving = undefined;
    this.#apply();
  }

  #look(): void {
    this.#options.scheduler.after(LOOK_MICROS, () => {
      const leaving = this.#leaving;
      if (leaving && !leaving.switched && this.#options.host.move === this.#move) this.#go({ ...leaving, switched: true });
      else if (leaving?.switched && leaving.from.node.telemetry?.drained === this.#move) this.#go(undefined);
      this.#look();
    });
  }

  #go(leaving: Leaving | undefined): void {
    this.#leaving = leaving;
    this.#options.scheduler.note('control plane', leaving ? 'the agent has switched' : 'the pair has left its old process server');
    this.#apply();
  }

  #apply(): void {
    const { places, host } = this.#options;
    for (const place of places) place.node.assign(this.#assignmentOf(place));
    host.follow({ link: this.#current.link, move: this.#move });
  }

  #assignmentOf(place: Place): { readonly handover: Handover | undefined; readonly move: number } | undefined {
    const leaving = this.#leaving;
    if (place === this.#current) return { handover: leaving && 'to', move: this.#move };
    if (place === leaving?.from) return { handover: leaving.switched ? 'from' : undefined, move: this.#move };
    return undefined;
  }
}
