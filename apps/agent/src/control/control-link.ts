// SPDX-License-Identifier: Apache-2.0
import { type ClusterMember, TelemetryReporter } from '@secondsite/component';
import {
  type AgentTelemetry, type ChangeSetHop, createBookmarkOperation, cutHeldOperation, freezeVolumesOperation, holdWritesOperation,
  releaseWritesOperation, thawVolumesOperation, traceAtAgentOperation,
} from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import type { MessageBus } from '@secondsite/messaging';
import { spaceGauge } from '@secondsite/telemetry';
import { isoFromMicros, type TimeMicros } from '@secondsite/units';
import { statfs } from 'node:fs/promises';
import type { AgentHost } from '../host/agent-host';
import type { TogetherCut } from '../host/cut-together';
import type { ChangeSetHops } from '../volume/change-set-hop-log';
import { volumeGauges } from './volume-gauges';

/** Ties an agent to the control plane: obeys its desired state, says every second how it is, answers requests. */
export class ControlLink {
  readonly #bus: MessageBus;
  readonly #host: AgentHost;
  readonly #dataDir: string;
  readonly #telemetry: TelemetryReporter;
  readonly #gauges = volumeGauges();
  readonly #space = spaceGauge('agent');

  constructor(options: { readonly member: ClusterMember; readonly host: AgentHost; readonly dataDir: string }) {
    const { bus, log, componentId } = options.member;
    this.#bus = bus;
    this.#host = options.host;
    this.#dataDir = options.dataDir;
    this.#bus.watchDesiredState({ role: 'agent', componentId }, (document) => this.#host.reconcile(document));
    this.#serveBookmarks();
    this.#bus.serve(traceAtAgentOperation, async ({ pairId, epoch, sequence }) => {
      const hops = await this.#host.hops(pairId, epoch !== undefined && sequence !== undefined ? { epoch, sequence } : undefined);
      return hops ? { changeSet: changeSetOf(pairId, hops) } : {};
    });
    this.#telemetry = new TelemetryReporter({ bus, log, gather: () => this.telemetry() });
  }

  #serveBookmarks(): void {
    this.#bus.serve(createBookmarkOperation, async (request) => ({ bookmarkId: request.bookmarkId, ...cutReply(await this.#host.createBookmark(request)) }));
    this.#bus.serve(holdWritesOperation, async ({ holdId, volumeIds, holdMillisMax }) => {
      await this.#host.holdWrites({ holdId, volumeIds, limitMillis: holdMillisMax });
      return { holdId };
    });
    this.#bus.serve(cutHeldOperation, async (request) => ({ holdId: request.holdId, ...cutReply(await this.#host.cutHeld(request)) }));
    this.#bus.serve(releaseWritesOperation, async ({ holdId }) => ({ released: await this.#host.releaseWrites(holdId) }));
    this.#bus.serve(freezeVolumesOperation, async ({ freezeSecondsMax, ...request }) => ({
      results: [...(await this.#host.freezeVolumes({ ...request, limitMillis: freezeSecondsMax * 1000 }))],
    }));
    this.#bus.serve(thawVolumesOperation, async ({ freezeId }) => ({ results: [...(await this.#host.thawVolumes(freezeId))] }));
  }

  async telemetry(): Promise<AgentTelemetry> {
    const { componentId, tenantId } = this.#bus.identity;
    const { bavail, bsize } = await statfs(this.#dataDir);
    const volumes = await this.#host.telemetry();
    this.#gauges.update(volumes);
    this.#space.update([bavail * bsize]);
    return { role: 'agent', componentId, tenantId, at: isoFromMicros(clockMicros()), rssBytes: process.memoryUsage.rss(), freeBytes: bavail * bsize, volumes };
  }

  /** The bus is closed by its owner, and with it what was registered there. */
  close(): void {
    this.#telemetry.close();
  }
}

function cutReply({ time, heldMillis, cuts }: TogetherCut) {
  const iso = isoFromMicros(time);
  return { time: iso, heldMillis, cuts: cuts.map(({ volumeId, pairId, epoch, sequence }) => ({ volumeId, pairId, epoch, sequence, time: iso })) };
}

function changeSetOf(pairId: string, hops: ChangeSetHops) {
  const { epoch, sequence, storedBytes, entryCount, traceparent } = hops;
  const passed: readonly [ChangeSetHop['hop'], TimeMicros | undefined][] = [
    ['first-write', hops.firstWriteAt], ['cut', hops.cutAt], ['sent', hops.sentAt], ['answered', hops.answeredAt],
  ];
  return {
    pairId, epoch, sequence, storedBytes, entryCount,
    ...(traceparent === undefined ? {} : { traceId: traceparent.slice(3, 35) }),
    hops: passed.flatMap(([hop, at]) => (at === undefined ? [] : [{ hop, at: isoFromMicros(at) }])),
  };
}
