// SPDX-License-Identifier: Apache-2.0
import { type Attributes, metrics, type ObservableResult } from '@opentelemetry/api';

/** A metric of each item; undefined: it has none now. */
export interface LatestGauge<Item> {
  readonly name: string;
  readonly description: string;
  readonly read: (item: Item) => number | undefined;
}

export interface LatestGaugesOptions<Item> {
  readonly meter: string;
  readonly labels: (item: Item) => Attributes;
  readonly gauges: readonly LatestGauge<Item>[];
}

/** The newest figures of several items of one kind (volumes, pairs) as Prometheus gauges: what can be seen while the bus is away. */
export class LatestGauges<Item> {
  #items: readonly Item[] = [];

  constructor({ meter, labels, gauges }: LatestGaugesOptions<Item>) {
    for (const { name, description, read } of gauges) {
      metrics.getMeter(meter).createObservableGauge(name, { description }).addCallback((result: ObservableResult) => {
        for (const item of this.#items) {
          const value = read(item);
          if (value !== undefined) result.observe(value, labels(item));
        }
      });
    }
  }

  update(items: readonly Item[]): void {
    this.#items = items;
  }
}

/** Free bytes where the component keeps its data; `update` it with one number. */
export function spaceGauge(meter: string): LatestGauges<number> {
  return new LatestGauges<number>({
    meter, labels: () => ({}), gauges: [{ name: 'secondsite_free_bytes', description: 'Free bytes where the component keeps its data', read: (bytes) => bytes }],
  });
}
