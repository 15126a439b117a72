// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';

/** Who did what at which simulated time. Two runs of one seed have the same trace, hence the same hash. */
export class Trace {
  onLine: ((line: string) => void) | undefined;
  readonly #lines: string[] = [];

  add(elapsedMicros: number, who: string, what: string): void {
    const line = `${(elapsedMicros / 1e6).toFixed(6).padStart(11)}  ${who.padEnd(14)} ${what}`;
    this.#lines.push(line);
    this.onLine?.(line);
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  get hash(): string {
    return createHash('sha256').update(this.#lines.join('\n')).digest('hex').slice(0, 16);
  }
}
