// SPDX-License-Identifier: Apache-2.0
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import { LatestGauges } from '@secondsite/telemetry';
import { microsFromIso } from '@secondsite/units';

/** The newest telemetry of each pair as Prometheus metrics: the only place to look at while the bus is away. */
export function pairGauges(): LatestGauges<MasterTargetPairTelemetry> {
  return new LatestGauges<MasterTargetPairTelemetry>({
    meter: 'master-target',
    labels: ({ pairId }) => ({ pair_id: pairId }),
    gauges: [
      { name: 'secondsite_master_target_covered_time_seconds', description: 'Every write up to this time (since 1970) is in the replica', read: (pair) => secondsOf(pair.coveredTime) },
      { name: 'secondsite_master_target_cache_bytes', description: 'Bytes received and not yet applied', read: (pair) => pair.cacheBytes },
      { name: 'secondsite_master_target_journal_bytes', description: 'Bytes of the retention journal on the disk', read: (pair) => pair.journalBytes },
      { name: 'secondsite_master_target_cold_bytes', description: 'Bytes of the retention journal in the cold store', read: (pair) => pair.retention?.cold?.bytes },
      { name: 'secondsite_master_target_cold_waiting_bytes', description: 'Bytes of it on the disk that should be there', read: (pair) => pair.retention?.cold?.waitingBytes },
      { name: 'secondsite_master_target_window_seconds', description: 'From the earliest recovery point to the latest', read: windowSeconds },
      { name: 'secondsite_master_target_retention_promised_seconds', description: 'Retention window of the plan', read: (pair) => pair.retention?.promisedSeconds },
      { name: 'secondsite_master_target_applied_sequence', description: 'Newest applied change set of the epoch', read: (pair) => pair.appliedSequence },
      { name: 'secondsite_master_target_applied_bytes_rate', description: 'Bytes applied per second', read: (pair) => pair.bytesPerSecond },
      { name: 'secondsite_master_target_queue_seconds', description: 'From the arrival of a change set until its turn to be applied', read: (pair) => pair.stays?.queueSeconds },
      { name: 'secondsite_master_target_apply_seconds', description: 'From then until it is applied', read: (pair) => pair.stays?.applySeconds },
      { name: 'secondsite_master_target_views', description: 'Open views', read: (pair) => pair.views },
      { name: 'secondsite_master_target_damaged_bytes', description: 'Bytes of the replica that its disk changed and the source has not sent again yet', read: (pair) => pair.scrub?.damagedBytes },
      { name: 'secondsite_master_target_scrubbed_bytes', description: 'Bytes of replica and journal looked at in the round of the scrubber that is under way', read: (pair) => pair.scrub?.running?.doneBytes },
      { name: 'secondsite_master_target_scrub_round_end_seconds', description: 'When the last round of the scrubber ended (since 1970)', read: (pair) => secondsOf(pair.scrub?.lastRound?.endedAt) },
      { name: 'secondsite_master_target_fault', description: '1 while the pair does not advance', read: (pair) => (pair.fault ? 1 : 0) },
    ],
  });
}

function windowSeconds({ earliestPoint, latestPoint }: MasterTargetPairTelemetry): number | undefined {
  const [earliest, latest] = [secondsOf(earliestPoint), secondsOf(latestPoint)];
  return earliest === undefined || latest === undefined ? undefined : latest - earliest;
}

function secondsOf(time: string | undefined): number | undefined {
  const micros = time === undefined ? undefined : microsFromIso(time);
  return micros === undefined ? undefined : micros / 1e6;
}
