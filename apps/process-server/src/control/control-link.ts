// SPDX-License-Identifier: Apache-2.0
import { type ClusterMember, TelemetryReporter } from '@secondsite/component';
import { type Telemetry, traceAtProcessServerOperation } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import type { MessageBus } from '@secondsite/messaging';
import { isoFromMicros } from '@secondsite/units';
import type { ProcessServer } from '../process-server';

/** Ties a process server to the control plane: obeys its desired state, says every second how it is, answers requests. */
export class ControlLink {
  readonly #bus: MessageBus;
  readonly #server: ProcessServer;
  readonly #url: string;
  readonly #telemetry: TelemetryReporter;

  /** `url`: where agents reach the data plane. */
  constructor(options: { readonly member: ClusterMember; readonly server: ProcessServer; readonly url: string }) {
    const { bus, log, componentId } = options.member;
    this.#bus = bus;
    this.#server = options.server;
    this.#url = options.url;
    this.#bus.watchDesiredState({ role: 'process-server', componentId }, (document) => this.#server.reconcile(document));
    this.#bus.serve(traceAtProcessServerOperation, async ({ pairId, epoch, sequence }) => {
      const changeSet = this.#server.pairs.get(pairId)?.hops.find(pairId, { epoch, sequence });
      return changeSet ? { changeSet } : {};
    });
    this.#telemetry = new TelemetryReporter({ bus, log, gather: () => this.telemetry() });
  }

  telemetry(): Telemetry {
    const { componentId, tenantId } = this.#bus.identity;
    return {
      role: 'process-server',
      componentId,
      tenantId,
      at: isoFromMicros(clockMicros()),
      url: this.#url,
      rssBytes: process.memoryUsage.rss(),
      freeBytes: Math.max(0, this.#server.freeBytes),
      pairs: this.#server.telemetry(),
    };
  }

  /** The bus is closed by its owner, and with it what was registered there. */
  close(): void {
    this.#telemetry.close();
  }
}
