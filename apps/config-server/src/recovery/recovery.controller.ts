// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { type RecoveryPoints, restRoutes } from '@secondsite/contracts';
import { MessageBus } from '@secondsite/messaging';
import { commonPoints } from '@secondsite/protection';
import { Call, Handles, type RouteCall } from '@secondsite/service-kit';
import { adminOrigin } from '../admin-origin';
import { DirectoryCache } from '../read-models/directory-cache';
import { findSubject } from '../read-models/find';
import { ServerClock } from '../server-clock';
import { BookmarkRecords } from './bookmark-records';
import { BookmarkService } from './bookmarks';
import { fetchPoints, readTime } from './point-requests';
import { TraceService } from './traces';
import { ViewService } from './views';

@Controller()
export class RecoveryController {
  constructor(
    private readonly bus: MessageBus,
    private readonly records: BookmarkRecords,
    private readonly directories: DirectoryCache,
    private readonly clock: ServerClock,
    private readonly views: ViewService,
    private readonly bookmarks: BookmarkService,
    private readonly traces: TraceService,
  ) {}

  @Handles(restRoutes.listPoints)
  async listPoints(@Call() call: RouteCall<typeof restRoutes.listPoints>): Promise<RecoveryPoints> {
    const { of, from, to } = call.query;
    const { kind, id, name, pairs } = findSubject(await this.directories.load(), of);
    const now = this.clock.now();
    const limits = { ...(from === undefined ? {} : { from: readTime(from, now) }), ...(to === undefined ? {} : { to: readTime(to, now) }) };
    const points = await fetchPoints({ bus: this.bus, records: this.records }, { pairs, ...limits });
    const volumes = points.map((own) => {
      const pair = pairs.find((one) => one.pairId === own.pairId);
      return { ...own, volumeId: pair?.volumeId ?? own.pairId, volumeName: pair?.volumeName ?? own.pairId };
    });
    return { of: { kind, id, name }, common: commonPoints(points), volumes };
  }

  @Handles(restRoutes.createBookmark)
  createBookmark(@Call() call: RouteCall<typeof restRoutes.createBookmark>): Promise<unknown> {
    return this.bookmarks.create({ plan: call.params.plan ?? '', ...call.body }, adminOrigin(call));
  }

  @Handles(restRoutes.openViews)
  openViews(@Call() call: RouteCall<typeof restRoutes.openViews>): Promise<unknown> {
    return this.views.open(call.body, adminOrigin(call));
  }

  @Handles(restRoutes.listViews)
  listViews(@Call() _call: RouteCall<typeof restRoutes.listViews>): Promise<unknown> {
    return this.views.list();
  }

  @Handles(restRoutes.closeView)
  closeView(@Call() call: RouteCall<typeof restRoutes.closeView>): Promise<void> {
    return this.views.close(call.params.viewId ?? '', adminOrigin(call));
  }

  @Handles(restRoutes.traceVolume)
  traceVolume(@Call() call: RouteCall<typeof restRoutes.traceVolume>): Promise<unknown> {
    return this.traces.follow(call.params.volume ?? '', call.query);
  }
}
