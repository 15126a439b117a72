// SPDX-License-Identifier: Apache-2.0
import { Controller } from '@nestjs/common';
import { closeViewOperation, listViewsOperation, type OpenedView, openViewOperation, type ReplyInputOf, type RequestOf } from '@secondsite/contracts';
import { Answers } from '@secondsite/service-kit';
import { isoFromMicros } from '@secondsite/units';
import { DataPlane } from '../data-plane/data-plane';
import type { ServedView } from '../target/target-server';
import { timeOf } from './time-of';
import { pointRefusal } from './point-refusal';

/** Disks as of an instant, opened and closed on request. */
@Controller()
export class ViewsController {
  constructor(private readonly dataPlane: DataPlane) {}

  @Answers(openViewOperation)
  async open({ viewId, pairId, pointTime, readWrite }: RequestOf<typeof openViewOperation>): Promise<ReplyInputOf<typeof openViewOperation>> {
    const answer = await this.dataPlane.server.openView(pairId, { viewId, pointTime: timeOf(pointTime), readWrite });
    return answer.ok ? { outcome: 'opened', view: openedView(answer.view) } : pointRefusal(answer);
  }

  @Answers(closeViewOperation)
  async close({ viewId }: RequestOf<typeof closeViewOperation>): Promise<{ closed: boolean }> {
    return { closed: await this.dataPlane.server.closeView(viewId) };
  }

  @Answers(listViewsOperation)
  async list({ pairIds }: RequestOf<typeof listViewsOperation>): Promise<{ views: OpenedView[] }> {
    return { views: (await this.dataPlane.server.listViews(pairIds)).map(openedView) };
  }
}

function openedView({ viewId, pairId, volumeId, pointTime, readWrite, sizeBytes, nbdUris, openedAt }: ServedView): OpenedView {
  return { viewId, pairId, volumeId, readWrite, sizeBytes, nbdUris: [...nbdUris], pointTime: isoFromMicros(pointTime), openedAt: isoFromMicros(openedAt) };
}
