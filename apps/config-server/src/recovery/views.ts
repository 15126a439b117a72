// SPDX-License-Identifier: Apache-2.0
import { closeViewOperation, listViewsOperation, type OpenedView, openViewOperation, type PointRequest, type View } from '@secondsite/contracts';
import type { MessageBus } from '@secondsite/messaging';
import { fact } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { OperationError } from '@secondsite/units';
import { randomBytes } from 'node:crypto';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { Directory, PairRow } from '../read-models/directory';
import type { DirectoryCache } from '../read-models/directory-cache';
import { findSubject } from '../read-models/find';
import type { ServerClock } from '../server-clock';
import type { BookmarkRecords } from './bookmark-records';
import { pointSelection, resolvePoint } from './point-requests';
import { refusedPoint } from './refused-point';

export interface RecoveryParts {
  readonly bus: MessageBus;
  readonly records: BookmarkRecords;
  readonly commands: CommandRunner;
  readonly directories: DirectoryCache;
  readonly clock: ServerClock;
}

export interface ViewWish {
  readonly of: string;
  readonly point: PointRequest;
  readonly readWrite: boolean;
}

const openMillisMax = 30_000;
const listMillisMax = 3_000;

/** Views (F25): opened and closed at the master targets, recorded here. */
export class ViewService {
  constructor(private readonly parts: RecoveryParts) {}

  /** All views or none. Throws RefusedRequest `recovery/point-refused` with the nearest points. */
  async open(wish: ViewWish, origin: CommandOrigin): Promise<{ readonly pointTime: string; readonly views: View[] }> {
    const { clock, directories } = this.parts;
    const directory = await directories.load();
    const subject = findSubject(directory, wish.of);
    const resolved = await resolvePoint(this.parts, { pairs: subject.pairs, point: pointSelection(wish.point, clock.now()) });
    if (resolved.outcome === 'refused') throw await refusedPoint(this.parts.commands, { refusal: resolved, point: wish.point, origin });
    const views: View[] = [];
    try {
      for (const pair of subject.pairs) {
        const pointTime = resolved.times.get(pair.pairId) as string;
        views.push(await this.#openOne({ pair, pointTime, wish, origin }, directory));
      }
    } catch (error) {
      await this.#closeAll(views);
      throw error;
    }
    await this.#record(views, origin);
    return { pointTime: [...resolved.times.values()].sort().at(-1) as string, views };
  }

  /** Open views of all master targets, and those targets that did not answer. */
  async list(): Promise<{ readonly views: View[]; readonly unreachableMasterTargets: string[] }> {
    const directory = await this.parts.directories.load();
    const answers = await Promise.all(masterTargets(directory).map((id) => this.#listOne(id, directory)));
    return {
      views: answers.flatMap((answer) => answer.views ?? []),
      unreachableMasterTargets: answers.filter((answer) => answer.views === undefined).map((answer) => answer.masterTargetId),
    };
  }

  async close(viewId: string, origin: CommandOrigin): Promise<void> {
    const { views, unreachableMasterTargets } = await this.list();
    const view = views.find((one) => one.viewId === viewId);
    if (!view) throw notOpen(viewId, unreachableMasterTargets);
    await this.parts.bus.request(closeViewOperation, { componentId: view.masterTargetId }, { viewId });
    await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.view-closed.v1', { viewId, pairId: view.pairId })));
  }

  async #openOne(part: { readonly pair: PairRow; readonly pointTime: string; readonly wish: ViewWish; readonly origin: CommandOrigin }, directory: Directory): Promise<View> {
    const { pair: { pairId, masterTargetId: componentId }, pointTime, wish, origin } = part;
    const viewId = `view-${randomBytes(5).toString('hex')}`;
    const target = { componentId, timeoutMillis: openMillisMax };
    const reply = await this.parts.bus.request(openViewOperation, target, { viewId, pairId, pointTime, readWrite: wish.readWrite });
    if (reply.outcome === 'refused') throw await refusedPoint(this.parts.commands, { refusal: { ...reply, pairId }, point: wish.point, origin });
    return viewOf(reply.view, { masterTargetId: componentId, directory });
  }

  async #listOne(masterTargetId: string, directory: Directory): Promise<{ readonly masterTargetId: string; readonly views: View[] | undefined }> {
    try {
      const reply = await this.parts.bus.request(listViewsOperation, { componentId: masterTargetId, timeoutMillis: listMillisMax }, {});
      return { masterTargetId, views: reply.views.map((view) => viewOf(view, { masterTargetId, directory })) };
    } catch (error) {
      if (error instanceof OperationError && (error.code === 'bus/no-responder' || error.code === 'bus/timeout')) return { masterTargetId, views: undefined };
      throw error;
    }
  }

  async #closeAll(views: readonly View[]): Promise<void> {
    await Promise.allSettled(views.map(({ viewId, masterTargetId: componentId }) => this.parts.bus.request(closeViewOperation, { componentId }, { viewId })));
  }

  async #record(views: readonly View[], origin: CommandOrigin): Promise<void> {
    const facts = views.map(({ viewId, pairId, volumeId, pointTime, readWrite, nbdUris }) =>
      fact('recovery.view-opened.v1', { viewId, pairId, volumeId, pointTime, readWrite, nbdUris }),
    );
    await this.parts.commands.run(origin, (unit) => unit.append(streams.recovery, ...facts));
  }
}

function masterTargets(directory: Directory): string[] {
  return directory.components.filter((component) => component.role === 'master-target').map((component) => component.componentId);
}

function viewOf(view: OpenedView, { masterTargetId, directory }: { readonly masterTargetId: string; readonly directory: Directory }): View {
  const volumeName = directory.pairs.find((pair) => pair.pairId === view.pairId)?.volumeName ?? view.volumeId;
  return { ...view, volumeName, masterTargetId };
}

function notOpen(viewId: string, unreachable: readonly string[]): RefusedRequest {
  if (unreachable.length === 0) {
    return new RefusedRequest({ status: 404, code: 'view/unknown', detail: `there is no open view ${viewId}`, hint: 'List the views.' });
  }
  const detail = `view ${viewId} was not found, but ${unreachable.join(', ')} did not answer`;
  return new RefusedRequest({ status: 503, code: 'view/unreachable', detail, hint: 'Start the master target, then try again.', retryable: true });
}
