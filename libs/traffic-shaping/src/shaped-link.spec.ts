// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Flow, ShapedLink } from './shaped-link';

const slice = 1000;

/** Time that moves when everybody waits. */
class Simulation {
  #now = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  /** Bytes let through, with their time and flow. */
  readonly sent: { readonly at: number; readonly flow: string; readonly bytes: number; readonly body: number }[] = [];

  readonly clock = {
    now: () => this.#now,
    sleep: (millis: number) => new Promise<void>((wake) => this.#sleepers.push({ at: this.#now + millis, wake })),
  };

  async body(link: ShapedLink, wish: Flow & { readonly bytes: number }, body = 0): Promise<void> {
    const transfer = await link.begin(wish);
    for (let left = wish.bytes; left > 0; left -= slice) {
      await transfer?.pace(Math.min(slice, left));
      this.sent.push({ at: this.#now, flow: wish.flow, bytes: Math.min(slice, left), body });
    }
    transfer?.end();
  }

  /** Runs until `until`, or until nobody waits for time. */
  async run(until = Infinity): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.#sleepers.reduce((first, other) => Math.min(first, other.at), Infinity);
      if (next > until || next === Infinity) return;
      this.#now = next;
      const due = this.#sleepers.filter(({ at }) => at <= next);
      this.#sleepers = this.#sleepers.filter(({ at }) => at > next);
      for (const { wake } of due) wake();
    }
  }

  bytesOf(flow: string): number {
    return this.sent.filter((one) => one.flow === flow).reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

describe('a link with a limit', () => {
  it('lets nobody wait without one', async () => {
    const simulation = new Simulation();
    const link = new ShapedLink({ clock: simulation.clock, bytesPerSecond: () => undefined });
    expect(link.begin({ flow: 'a', weight: 1 })).toBeUndefined();
    expect(link.pace({ flow: 'a', weight: 1 }, 1e9)).toBeUndefined();
  });

  it('lets through no more than the rate and one burst over any time, and not much less', async () => {
    const wishes = fc.array(fc.record({ flow: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), weight: fc.constantFrom(1, 2, 4), bytes: fc.integer({ min: 1, max: 40_000 }) }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(wishes, fc.constantFrom(10_000, 100_000, 1_000_000), async (bodies, rate) => {
        const simulation = new Simulation();
        const link = new ShapedLink({ clock: simulation.clock, bytesPerSecond: () => rate });
        const all = bodies.map((wish, body) => simulation.body(link, wish, body));
        await simulation.run();
        await Promise.all(all);
        const total = bodies.reduce((sum, { bytes }) => sum + bytes, 0);
        const end = simulation.sent.at(-1)?.at ?? 0;
        expect(end).toBeLessThanOrEqual((total / rate) * 1000);
        let letThrough = 0;
        for (const { at, bytes } of simulation.sent) {
          expect(letThrough).toBeLessThanOrEqual((rate * (at + 50)) / 1000 + 1e-6);
          letThrough += bytes;
        }
        for (const flow of 'abcdef') {
          const order = simulation.sent.filter((one) => one.flow === flow).map(({ body }) => body);
          expect(order).toEqual([...order].sort((left, right) => left - right));
        }
      }),
      { numRuns: 60 },
    );
  });

  it.each([60_000, 600_000])('gives busy flows their shares by weight, one body at a time or several: %i bytes per second', async (rate) => {
    const simulation = new Simulation();
    const link = new ShapedLink({ clock: simulation.clock, bytesPerSecond: () => rate });
    const flows = [{ flow: 'high', weight: 4 }, { flow: 'normal', weight: 2 }, { flow: 'low', weight: 1 }];
    for (const { flow, weight } of flows) for (let body = 0; body < 200; body++) void simulation.body(link, { flow, weight, bytes: 10_000 }, body);
    await simulation.run((35_000 * 60_000) / rate);
    const low = simulation.bytesOf('low');
    expect(low).toBeGreaterThan(250_000);
    expect(simulation.bytesOf('high') / low).toBeCloseTo(4, 0);
    expect(simulation.bytesOf('normal') / low).toBeCloseTo(2, 0);
  });

  it('lets one who comes late in at once, however much another has waiting', async () => {
    const simulation = new Simulation();
    const link = new ShapedLink({ clock: simulation.clock, bytesPerSecond: () => 60_000 });
    for (let body = 0; body < 100; body++) void simulation.body(link, { flow: 'bulk', weight: 1, bytes: 60_000 }, body);
    await simulation.run(30_000);
    void simulation.body(link, { flow: 'late', weight: 1, bytes: 1000 });
    await simulation.run(32_500);
    expect(simulation.bytesOf('late')).toBe(1000);
  });

  it('obeys a changed rate in the middle of a body, and a turn that is given up hinders nobody', async () => {
    const simulation = new Simulation();
    let rate: number | undefined = 10_000;
    const link = new ShapedLink({ clock: simulation.clock, bytesPerSecond: () => rate });
    const stop = new AbortController();
    void simulation.body(link, { flow: 'a', weight: 1, bytes: 100_000 });
    const givenUp = link.begin({ flow: 'b', weight: 1 }, stop.signal);
    void simulation.body(link, { flow: 'c', weight: 1, bytes: 20_000 });
    await simulation.run(1000);
    expect(simulation.bytesOf('a')).toBe(11_000);
    stop.abort();
    (await givenUp)?.end();
    rate = undefined;
    await simulation.run(2000);
    expect(simulation.bytesOf('a')).toBe(100_000);
    expect(simulation.bytesOf('c')).toBe(20_000);
  });
});
