// SPDX-License-Identifier: Apache-2.0
import type { Plan } from '@secondsite/contracts';
import { humanSeconds } from '../output';
import { describeRetention } from './retention-options';

export function describePlan(plan: Plan): string {
  const pins = plan.pins.length === 0 ? '' : `, pinned: ${plan.pins.map(({ name, points }) => `${name} (${points[0]?.time ?? '–'})`).join(', ')}`;
  const { enabled, waitSeconds, from, to, timeZone } = plan.automaticResync;
  const resync = enabled ? `automatic resync ${humanSeconds(waitSeconds)} after it is required, ${from}-${to} ${timeZone}` : 'resync only when asked for';
  const deduplication = plan.deduplication ? ', deduplication' : '';
  return `plan ${plan.name}: ${plan.state}, ${plan.volumes.length} volume(s), retention ${describeRetention(plan.retention)}${pins}, ${resync}${deduplication}`;
}
