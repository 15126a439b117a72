// SPDX-License-Identifier: Apache-2.0
import type { PointRequest } from '@secondsite/contracts';
import { fact } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import type { CommandOrigin, CommandRunner } from '../commands/command-runner';
import { streams } from '../commands/streams';
import type { Refusal } from './point-requests';

interface RefusedWish {
  readonly refusal: Refusal;
  readonly point: PointRequest;
  readonly origin: CommandOrigin;
}

/** Records that a point was asked for in vain; returns what the caller is told, with the nearest points. */
export async function refusedPoint(commands: CommandRunner, { refusal, point, origin }: RefusedWish): Promise<RefusedRequest> {
  const { pairId, reason, detail } = refusal;
  const nearest = nearestOf(refusal);
  const requested = point.kind === 'latest' ? 'latest' : point.kind === 'at' ? point.time : point.name;
  await commands.run(origin, (unit) => unit.append(streams.recovery, fact('recovery.point-refused.v1', { pairId, requested, reason, ...nearest })));
  const hint = Object.keys(nearest).length === 0 ? 'List the points to see what can be recovered.' : `Nearest points: ${Object.values(nearest).join(' and ')}.`;
  return new RefusedRequest({ status: 409, code: 'recovery/point-refused', detail, hint, context: { reason, ...nearest } });
}

function nearestOf({ nearestBefore, nearestAfter }: Refusal): { readonly nearestBefore?: string; readonly nearestAfter?: string } {
  return { ...(nearestBefore === undefined ? {} : { nearestBefore }), ...(nearestAfter === undefined ? {} : { nearestAfter }) };
}
