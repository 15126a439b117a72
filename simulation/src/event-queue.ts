// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';

export interface PlannedEvent {
  readonly time: TimeMicros;
  readonly run: () => void;
}

interface Entry extends PlannedEvent {
  readonly order: number;
  cancelled: boolean;
}

/** Binary heap by time; entries of one time come out in the order in which they went in. */
export class EventQueue {
  readonly #heap: Entry[] = [];
  #order = 0;

  /** Returns what takes the event out again. */
  add(time: TimeMicros, run: () => void): () => void {
    const entry: Entry = { time, run, order: this.#order++, cancelled: false };
    this.#heap.push(entry);
    this.#rise(this.#heap.length - 1);
    return () => void (entry.cancelled = true);
  }

  take(): PlannedEvent | undefined {
    for (let entry = this.#pop(); entry; entry = this.#pop()) if (!entry.cancelled) return entry;
    return undefined;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0 && last) {
      heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #rise(start: number): void {
    for (let at = start; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfEarlier(at, parent)) return;
      at = parent;
    }
  }

  #sink(start: number): void {
    for (let at = start; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = right < this.#heap.length && isEarlier(this.#heap[right] as Entry, this.#heap[left] as Entry) ? right : left;
      if (child >= this.#heap.length || !this.#swapIfEarlier(child, at)) return;
      at = child;
    }
  }

  #swapIfEarlier(child: number, parent: number): boolean {
    const [below, above] = [this.#heap[child] as Entry, this.#heap[parent] as Entry];
    if (!isEarlier(below, above)) return false;
    [this.#heap[child], this.#heap[parent]] = [above, below];
    return true;
  }
}

function isEarlier(one: Entry, other: Entry): boolean {
  return one.time < other.time || (one.time === other.time && one.order < other.order);
}
