// SPDX-License-Identifier: Apache-2.0
// Thread of one pair: cache, journal, replica, views and their NBD servers. Blocking reads and writes happen here and nowhere else.
import { clockMicros, giveBackPages, largeMemory, openDirectory } from '@secondsite/disk-files';
import { sha256 } from '@secondsite/sha256';
import { serveThread, type ThreadSide } from '@secondsite/thread-host';
import { blockBytesOf, BlockTable } from '@secondsite/wan-deduplication';
import { decompressZstd } from '@secondsite/zstd';
import { setTimeout as delay } from 'node:timers/promises';
import { pairColdOptions } from '../cold/open-cold-store';
import { otherReplicas } from '../deduplication/other-replicas';
import type { SharedBlocks } from '../deduplication/set-rebuilder';
import { settleArrival } from '../move/arrival-record';
import { ViewExporter } from '../views/view-exporter';
import { ViewRegistry } from '../views/view-registry';
import type { PairThread, PairThreadData } from './pair-thread';
import { TargetPair } from './target-pair';

const FREE_SPACE_MILLIS = 1000;

async function openPair(side: ThreadSide<PairThread>, data: PairThreadData): Promise<TargetPair> {
  const directory = await openDirectory(data.path);
  await settleArrival(directory);
  return TargetPair.open({
    ...data,
    cold: data.cold && (await pairColdOptions(data.cold, data.pairId)),
    sharedBlocks: data.sharedBlocks && sharedBlocks(data.sharedBlocks),
    directory,
    decompress: decompressZstd,
    journalMemory: largeMemory,
    clock: clockMicros,
    delay: (millis) => delay(millis),
    onEvent: (event) => side.emit('pairEvent', event),
    onTraced: (hops) => side.emit('traced', hops),
    recycle: (memory) => {
      if (memory instanceof SharedArrayBuffer) side.emit('recycled', memory);
      else giveBackPages(new Uint8Array(memory));
    },
  });
}

function sharedBlocks({ tenantId, memory, pairsFolder }: NonNullable<PairThreadData['sharedBlocks']>): SharedBlocks {
  const scope = { tenantId };
  return { scope, table: new BlockTable(memory), sha256, readOther: otherReplicas({ pairsFolder, blockBytes: blockBytesOf(scope) }) };
}

serveThread<PairThread, PairThreadData>(async (side, data) => {
  const pair = await openPair(side, data);
  const exporter = new ViewExporter(data);
  const views = await ViewRegistry.open({ pair, exporter, directory: await (await openDirectory(data.path)).directory('views') });
  for (const { viewId, reason } of views.lost) side.emit('pairEvent', { kind: 'fault', code: 'view/lost', hint: `View ${viewId}: ${reason}. Close it.` });
  const deduplicate = (isWanted: boolean): void => {
    if (pair.rebuilder) pair.rebuilder.learns = isWanted;
  };
  deduplicate(data.deduplication);
  pair.start();
  let failed = false;
  const timer = setInterval(() => {
    if (!pair.departure.stands) pair.scrubber.tick();
    pair.refreshFreeBytes().catch((error: unknown) => queueMicrotask(() => { throw error; }));
    if (pair.failed && !failed) side.emit('failed', { code: pair.status().fault?.code ?? 'unknown' });
    failed = pair.failed;
  }, FREE_SPACE_MILLIS);
  return {
    requests: {
      store: ({ body, epoch, sequence, receivedAt, lateTraces }) => {
        pair.traceLate(lateTraces);
        return pair.store(body, { epoch, sequence }, receivedAt);
      },
      compare: ({ question, epoch, sequence }) => pair.compare(question, { epoch, sequence }),
      copy: ({ question, placement }) => pair.departure.answer(question, placement),
      position: () => pair.position(),
      status: () => pair.status(),
      points: (range) => {
        const points = pair.points();
        const { spans, coveredTime, latest } = points;
        return { spans, coveredTime, latest, localFrom: pair.journal.localFrom, bookmarks: points.offeredBookmarks(range), ranges: points.ranges(range) };
      },
      resolve: (request) => pair.points().resolve(request),
      hold: ({ time, micros }) => pair.retention.hold(time, micros),
      previewRetention: (limits) => pair.retention.preview(limits),
      openView: async ({ viewId, pointTime, readWrite }) => {
        const known = views.list().find((view) => view.viewId === viewId);
        if (known) return { ok: true, view: known };
        const resolved = pair.points().resolve({ kind: 'time', time: pointTime });
        if (!resolved.ok) return resolved;
        return { ok: true, view: await views.openView({ viewId, pointTime, readWrite, openedAt: clockMicros() }) };
      },
      closeView: (viewId) => views.closeView(viewId),
      listViews: () => views.list(),
      hops: (place) => pair.hops(place ?? undefined),
      quarantined: () => pair.quarantined(),
      scrub: () => pair.scrubber.request(),
    },
    notices: {
      retention: (limits) => pair.retention.setLimits(limits),
      deduplication: deduplicate,
      atHome: (placement) => pair.departure.atHome(placement),
      certificate: (options) => exporter.useCertificate(options),
    },
    close: async () => {
      clearInterval(timer);
      await views.close();
      await pair.close();
    },
  };
});
