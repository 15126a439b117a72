// SPDX-License-Identifier: Apache-2.0
import { type ClusterMember, TelemetryReporter } from '@secondsite/component';
import {
  closeViewOperation, listPointsOperation, listViewsOperation, openViewOperation, type OpenedView, type PointSelection, resolvePointOperation,
  type Telemetry, traceAtMasterTargetOperation,
} from '@secondsite/contracts';
import { clockMicros } from '@secondsite/disk-files';
import type { MessageBus } from '@secondsite/messaging';
import type { Bookmark, PointRequest } from '@secondsite/retention-journal';
import { isoFromMicros, microsFromIso, type TimeMicros } from '@secondsite/units';
import type { SetHops } from '../pair/pair-types';
import type { ServedView, TargetServer } from '../target/target-server';
import { PairGauges } from './pair-gauges';
import { pointRefusal } from './point-refusal';

/** Ties a master target to the control plane: obeys its desired state, says every second how it is, answers requests. */
export class ControlLink {
  readonly #bus: MessageBus;
  readonly #server: TargetServer;
  readonly #url: string;
  readonly #telemetry: TelemetryReporter;
  readonly #gauges = new PairGauges();

  constructor(options: { readonly member: ClusterMember; readonly server: TargetServer; readonly url: string }) {
    const { bus, log, componentId } = options.member;
    this.#bus = bus;
    this.#server = options.server;
    this.#url = options.url;
    this.#bus.watchDesiredState({ role: 'master-target', componentId }, (document) => this.#server.reconcile(document));
    this.#serve();
    this.#telemetry = new TelemetryReporter({ bus, log, gather: () => this.telemetry() });
  }

  #serve(): void {
    const server = this.#server;
    this.#bus.serve(listPointsOperation, async ({ pairIds, from, to }) => {
      const range = { ...(from !== undefined && { from: timeOf(from) }), ...(to !== undefined && { to: timeOf(to) }) };
      return { pairs: await Promise.all(pairIds.map(async (pairId) => this.#pairPoints(pairId, range))) };
    });
    this.#bus.serve(resolvePointOperation, async ({ pairIds, point }) => {
      const resolved = await server.resolve(pairIds, requestOf(point));
      if (!resolved.ok) return pointRefusal(resolved);
      return { outcome: 'found' as const, time: isoFromMicros(resolved.time), ...(resolved.bookmark && { bookmark: bookmarkOf(resolved.bookmark) }) };
    });
    this.#bus.serve(openViewOperation, async ({ viewId, pairId, pointTime, readWrite }) => {
      const answer = await server.openView(pairId, { viewId, pointTime: timeOf(pointTime), readWrite });
      return answer.ok ? { outcome: 'opened' as const, view: openedView(answer.view) } : pointRefusal(answer);
    });
    this.#bus.serve(closeViewOperation, async ({ viewId }) => ({ closed: await server.closeView(viewId) }));
    this.#bus.serve(listViewsOperation, async ({ pairIds }) => ({ views: (await server.listViews(pairIds)).map(openedView) }));
    this.#bus.serve(traceAtMasterTargetOperation, async ({ pairId, epoch, sequence }) => {
      const hops = await server.hops(pairId, epoch !== undefined && sequence !== undefined ? { epoch, sequence } : undefined);
      return hops ? { changeSet: hopsOf(pairId, hops) } : {};
    });
  }

  async #pairPoints(pairId: string, range: { readonly from?: TimeMicros; readonly to?: TimeMicros }) {
    const points = await this.#server.points(pairId, range);
    return {
      pairId,
      ranges: points.ranges.map(({ from, to, green }) => ({ from: isoFromMicros(from), to: isoFromMicros(to), green })),
      bookmarks: points.bookmarks.filter((bookmark) => bookmark.recoverable).map(bookmarkOf),
      ...(points.latest !== undefined && { latest: isoFromMicros(points.latest) }),
    };
  }

  async telemetry(): Promise<Telemetry> {
    const { componentId, tenantId } = this.#bus.identity;
    const pairs = await this.#server.telemetry();
    this.#gauges.update(pairs);
    return {
      role: 'master-target', componentId, tenantId, at: isoFromMicros(clockMicros()), url: this.#url,
      rssBytes: process.memoryUsage.rss(), freeBytes: await this.#server.freeBytes(), pairs,
    };
  }

  /** The bus is closed by its owner, and with it what was registered there. */
  close(): void {
    this.#telemetry.close();
  }
}

function requestOf(point: PointSelection): PointRequest {
  if (point.kind === 'at') return { kind: 'time', time: timeOf(point.time) };
  return point.kind === 'latest' ? { kind: 'latest' } : { kind: 'bookmark', nameOrId: point.name };
}

/** The contract checked the form. */
function timeOf(text: string): TimeMicros {
  return microsFromIso(text) as TimeMicros;
}

function bookmarkOf({ bookmarkId, name, level, time }: Bookmark) {
  return { bookmarkId, name, level, time: isoFromMicros(time) };
}

function openedView({ viewId, pairId, volumeId, pointTime, readWrite, sizeBytes, nbdUris, openedAt }: ServedView): OpenedView {
  return { viewId, pairId, volumeId, readWrite, sizeBytes, nbdUris: [...nbdUris], pointTime: isoFromMicros(pointTime), openedAt: isoFromMicros(openedAt) };
}

function hopsOf(pairId: string, { epoch, sequence, storedBytes, entryCount, traceparent, cacheDurableAt, undoDurableAt, appliedAt }: SetHops) {
  const times = { 'cache-durable': cacheDurableAt, 'undo-durable': undoDurableAt, applied: appliedAt } as const;
  const hops = (Object.keys(times) as (keyof typeof times)[]).flatMap((hop) => {
    const at = times[hop];
    return at === undefined ? [] : [{ hop, at: isoFromMicros(at) }];
  });
  return { pairId, epoch, sequence, storedBytes, entryCount, hops, ...(traceparent !== undefined && { traceId: traceparent.slice(3, 35) }) };
}
