// SPDX-License-Identifier: Apache-2.0
import type { PointRefusal } from '@secondsite/contracts';
import type { PointRefusalReason, ResolvedPoint } from '@secondsite/retention-journal';
import { isoFromMicros } from '@secondsite/units';

const texts: Readonly<Record<PointRefusalReason, readonly [PointRefusal['reason'], string]>> = {
  'no-points-yet': ['nothing-recoverable', 'the baseline is not complete, there is no recovery point yet'],
  'before-earliest': ['before-retention', 'the time lies before the retention window'],
  'after-latest': ['after-newest', 'the time lies after the newest write that was applied'],
  'between-kept-points': ['not-green', 'retention keeps only single points of that time'],
  resynchronising: ['not-green', 'the pair was resynchronising at that time'],
  'inside-folded-set': ['inside-folded-set', 'writes were folded there, only its end can be recovered'],
  'bookmark-unknown': ['no-such-bookmark', 'there is no such bookmark'],
  'bookmark-not-recoverable': ['not-green', 'the bookmark was made while the pair was resynchronising, or retention has passed it'],
};

/** A refusal as it goes over the bus. */
export function pointRefusal(refused: ResolvedPoint & { readonly ok: false }): PointRefusal {
  const [reason, detail] = texts[refused.reason];
  return {
    outcome: 'refused', reason, detail,
    ...(refused.nearestBefore !== undefined && { nearestBefore: isoFromMicros(refused.nearestBefore) }),
    ...(refused.nearestAfter !== undefined && { nearestAfter: isoFromMicros(refused.nearestAfter) }),
  };
}
