// SPDX-License-Identifier: Apache-2.0
import { startSpan } from '@secondsite/telemetry';
import type { TimeMicros } from '@secondsite/units';
import type { SetHops } from '../pair/pair-types';

/**
 * Records the last part of a change set's trace, after the fact, waiting times included. A passing set (ADR 11) is not cached: it waits from its
 * arrival on.
 */
export function recordHopSpans(pairId: string, hops: SetHops): void {
  const { traceparent, epoch, sequence, receivedAt, cacheDurableAt, applyBeganAt, undoDurableAt, appliedAt, coveredAt } = hops;
  const attributes = { 'secondsite.pair_id': pairId, 'secondsite.epoch': epoch, 'secondsite.sequence': sequence };
  const span = (name: string, start: TimeMicros | undefined, end: TimeMicros | undefined): void => {
    if (start === undefined || end === undefined) return;
    startSpan({ name, traceparent, attributes, startTime: start }).end(new Date(end / 1000));
  };
  span('cache', receivedAt, cacheDurableAt);
  span('wait to be applied', cacheDurableAt ?? receivedAt, applyBeganAt);
  span('undo', applyBeganAt, undoDurableAt);
  span('apply', undoDurableAt, appliedAt);
  span('wait for checkpoint', appliedAt, coveredAt);
}
