// SPDX-License-Identifier: Apache-2.0
import type { Logger } from 'pino';

export interface RoundsOptions {
  /** One after the other; one that throws is logged and does not keep the others from their turn. */
  readonly looks: readonly { readonly name: string; readonly look: () => Promise<void> }[];
  readonly logger: Logger;
  readonly intervalMillis?: number;
}

/** Looks at everything once a second; a round that takes longer delays the next. */
export class Rounds {
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;

  constructor(private readonly options: RoundsOptions) {
    this.#timer = setInterval(() => {
      this.#running ??= this.#round().finally(() => (this.#running = undefined));
    }, options.intervalMillis ?? 1_000);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #round(): Promise<void> {
    const { looks, logger } = this.options;
    for (const { name, look } of looks) {
      await look().catch((error: unknown) => logger.warn({ err: error }, `${name} not watched; trying again`));
    }
  }
}
