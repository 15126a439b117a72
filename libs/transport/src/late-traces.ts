// SPDX-License-Identifier: Apache-2.0
// Change sets whose traces are recorded although that was not decided when they were sealed (ADR 19): the agent judges, and tells the others with
// the requests that follow.
import type { Epoch, SequenceNumber } from '@secondsite/units';

export interface ChangeSetPlace {
  readonly epoch: Epoch;
  readonly sequence: SequenceNumber;
}

/** Carries places as `epoch/sequence`, with commas between them. */
export const lateTracesHeader = 'secondsite-late-traces';

const toldAtOnceMax = 16;
const waitingMax = 64;
const placePattern = /^([1-9][0-9]{0,9})\/([1-9][0-9]{0,14})$/;

export function lateTracesText(places: readonly ChangeSetPlace[]): string {
  return places.map(({ epoch, sequence }) => `${epoch}/${sequence}`).join(',');
}

/** What is no place is left out, and so is what is too much. */
export function lateTracesFromHeader(value: string | undefined): ChangeSetPlace[] {
  return (value ?? '').split(',', toldAtOnceMax).flatMap((text) => {
    const [, epoch, sequence] = placePattern.exec(text) ?? [];
    return epoch === undefined || sequence === undefined ? [] : [{ epoch: Number(epoch), sequence: Number(sequence) }];
  });
}

/** Places that the next hop has to be told. Each is told until a request that carried it was answered well; when too many wait, the oldest are dropped. */
export class LateTraceQueue {
  #waiting: ChangeSetPlace[] = [];

  add(places: readonly ChangeSetPlace[]): void {
    this.#waiting = [...this.#waiting, ...places].slice(-waitingMax);
  }

  /** What the next request carries. */
  next(): readonly ChangeSetPlace[] {
    return this.#waiting.slice(0, toldAtOnceMax);
  }

  told(places: readonly ChangeSetPlace[]): void {
    if (places.length > 0) this.#waiting = this.#waiting.filter((place) => !places.includes(place));
  }
}
