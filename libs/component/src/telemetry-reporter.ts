// SPDX-License-Identifier: Apache-2.0
import type { Telemetry } from '@secondsite/contracts';
import type { BusLog, MessageBus } from '@secondsite/messaging';

const telemetryMillis = 1000;

export interface TelemetryReporterOptions {
  readonly bus: MessageBus;
  readonly log: BusLog;
  readonly gather: () => Telemetry | Promise<Telemetry>;
}

/** Says every second how a component is. One message at a time: a busy component must not pile them up. */
export class TelemetryReporter {
  readonly #options: TelemetryReporterOptions;
  readonly #timer: NodeJS.Timeout;
  #telling = false;

  constructor(options: TelemetryReporterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tell(), telemetryMillis);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #tell(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    try {
      this.#options.bus.publishTelemetry(await this.#options.gather());
    } catch (error) {
      this.#options.log.warn({ err: error }, 'telemetry could not be gathered; the next is in a second');
    } finally {
      this.#telling = false;
    }
  }
}
