// SPDX-License-Identifier: Apache-2.0
import { isoFromMicros, microsFromIso } from '@secondsite/units';
import type { z } from 'zod';
import type { CloudEventEnvelope } from './cloud-event';
import type {
  bookmarkCreatedV1, bookmarkCreatedV2, changeSetAppliedV1, changeSetAppliedV2, resyncRequiredV1, resyncRequiredV2, retentionChangedV1,
} from './events';

/** Turns the data of one version into the data of the next; total for every event that its old schema accepts. */
export interface Upcaster {
  readonly from: string;
  readonly to: string;
  readonly upcast: (event: CloudEventEnvelope) => Record<string, unknown>;
}

/** v1 told the age of the newest write when it was applied; v2 tells the times themselves. Epoch 0 means "not told". */
function changeSetAppliedFromV1(event: CloudEventEnvelope): z.infer<typeof changeSetAppliedV2.data> {
  const data = event.data as z.infer<typeof changeSetAppliedV1.data>;
  const appliedAt = microsFromIso(event.time) ?? 0;
  const coveredTime = Math.max(0, appliedAt - Math.round(data.rpoSeconds * 1e6));
  return { pairId: data.pairId, epoch: 0, sequence: data.sequence, coveredTime: isoFromMicros(coveredTime), appliedAt: isoFromMicros(appliedAt) };
}

/** Until v2 every pair repaired itself from its write-intent bitmap. */
function resyncRequiredFromV1(event: CloudEventEnvelope): z.infer<typeof resyncRequiredV2.data> {
  return { ...(event.data as z.infer<typeof resyncRequiredV1.data>), work: 'regions' };
}

/** v1 told one time for all volumes and one hold for all hosts; no hook was known. */
function bookmarkCreatedFromV1(event: CloudEventEnvelope): z.infer<typeof bookmarkCreatedV2.data> {
  const { heldMillis: _, cuts, ...same } = event.data as z.infer<typeof bookmarkCreatedV1.data>;
  return { ...same, cuts: cuts.map((cut) => ({ ...cut, time: same.time })), holds: [], hooks: [] };
}

export const upcasters: readonly Upcaster[] = Object.freeze([
  {
    from: 'secondsite.replication.change-set-applied.v1',
    to: 'secondsite.replication.change-set-applied.v2',
    upcast: changeSetAppliedFromV1,
  },
  { from: 'secondsite.replication.resync-required.v1', to: 'secondsite.replication.resync-required.v2', upcast: resyncRequiredFromV1 },
  {
    // v2 may have a ladder of rules; without one, every instant of the window is kept, as v1 meant.
    from: 'secondsite.protection.retention-changed.v1',
    to: 'secondsite.protection.retention-changed.v2',
    upcast: ({ data }) => data as z.infer<typeof retentionChangedV1.data>,
  },
  {
    from: 'secondsite.recovery.bookmark-created.v1',
    to: 'secondsite.recovery.bookmark-created.v2',
    upcast: bookmarkCreatedFromV1,
  },
]);

const upcasterByType = new Map(upcasters.map((upcaster) => [upcaster.from, upcaster]));

/** Runs the chain until no newer version is known. Pure; the envelope keeps its id and time. */
export function upcastEvent(event: CloudEventEnvelope): CloudEventEnvelope {
  let current = event;
  for (let next = upcasterByType.get(current.type); next; next = upcasterByType.get(current.type)) {
    current = { ...current, type: next.to, data: next.upcast(current) };
  }
  return current;
}
