// SPDX-License-Identifier: Apache-2.0
import { type AgentTelemetry, type ChangeSetHop, createBookmarkOperation, traceAtAgentOperation } from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import type { BusLog, MessageBus } from '@secondsite/messaging';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import { statfs } from 'node:fs/promises';
import type { AgentHost } from '../host/agent-host';
import type { ChangeSetHops } from '../volume/change-set-hop-log';
import { VolumeGauges } from './volume-gauges';

const TELEMETRY_MILLIS = 1000;

/** Ties an agent to the control plane: obeys its desired state, says every second how it is, answers requests. */
export class ControlLink {
  readonly #bus: MessageBus;
  readonly #host: AgentHost;
  readonly #dataDir: string;
  readonly #log: BusLog;
  readonly #timer: NodeJS.Timeout;
  readonly #gauges = new VolumeGauges();
  #telling = false;

  constructor(options: { readonly bus: MessageBus; readonly host: AgentHost; readonly dataDir: string; readonly log: BusLog }) {
    this.#bus = options.bus;
    this.#host = options.host;
    this.#dataDir = options.dataDir;
    this.#log = options.log;
    this.#bus.watchDesiredState({ role: 'agent', componentId: options.bus.identity.componentId }, (document) => this.#host.reconcile(document));
    this.#bus.serve(createBookmarkOperation, async (request) => {
      const { time, heldMillis, cuts } = await this.#host.createBookmark(request);
      return { bookmarkId: request.bookmarkId, time: isoFromMicros(time), heldMillis, cuts: [...cuts] };
    });
    this.#bus.serve(traceAtAgentOperation, async ({ pairId, epoch, sequence }) => {
      const hops = await this.#host.hops(pairId, epoch !== undefined && sequence !== undefined ? { epoch, sequence } : undefined);
      return hops ? { changeSet: changeSetOf(pairId, hops) } : {};
    });
    this.#timer = setInterval(() => void this.#tell(), TELEMETRY_MILLIS);
  }

  async telemetry(): Promise<AgentTelemetry> {
    const { componentId, tenantId } = this.#bus.identity;
    const { bavail, bsize } = await statfs(this.#dataDir);
    const volumes = await this.#host.telemetry();
    return { role: 'agent', componentId, tenantId, at: isoFromMicros(clockMicros()), rssBytes: process.memoryUsage.rss(), freeBytes: bavail * bsize, volumes };
  }

  /** The bus is closed by its owner, and with it what was registered there. */
  close(): void {
    clearInterval(this.#timer);
  }

  async #tell(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    try {
      const telemetry = await this.telemetry();
      this.#gauges.update(telemetry.volumes);
      this.#bus.publishTelemetry(telemetry);
    } catch (error) {
      this.#log.warn({ err: error }, 'telemetry could not be gathered; the next is in a second');
    } finally {
      this.#telling = false;
    }
  }
}

function changeSetOf(pairId: string, hops: ChangeSetHops) {
  const { epoch, sequence, storedBytes, entryCount, traceparent } = hops;
  const passed: readonly [ChangeSetHop['hop'], TimeMicros | undefined][] = [
    ['first-write', hops.firstWriteAt], ['cut', hops.cutAt], ['sent', hops.sentAt], ['spool-durable', hops.spoolDurableAt],
  ];
  return {
    pairId, epoch, sequence, storedBytes, entryCount,
    ...(traceparent === undefined ? {} : { traceId: traceparent.slice(3, 35) }),
    hops: passed.flatMap(([hop, at]) => (at === undefined ? [] : [{ hop, at: isoFromMicros(at) }])),
  };
}
