// SPDX-License-Identifier: Apache-2.0
import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { MasterTargetPairTelemetry } from '@secondsite/contracts';
import { microsFromIso } from '@secondsite/units';

/** The newest telemetry of each pair as Prometheus metrics: the only place to look at while the bus is away. */
export class PairGauges {
  #pairs: readonly MasterTargetPairTelemetry[] = [];

  constructor() {
    this.#gauge('secondsite_master_target_covered_time_seconds', 'Every write up to this time (since 1970) is in the replica', (pair) => secondsOf(pair.coveredTime));
    this.#gauge('secondsite_master_target_cache_bytes', 'Bytes received and not yet applied', (pair) => pair.cacheBytes);
    this.#gauge('secondsite_master_target_journal_bytes', 'Bytes of the retention journal', (pair) => pair.journalBytes);
    this.#gauge('secondsite_master_target_retention_promised_seconds', 'Retention window of the plan', (pair) => pair.retention?.promisedSeconds);
    this.#gauge('secondsite_master_target_retention_available_seconds', 'Age of the oldest recovery point', (pair) => pair.retention?.availableSeconds);
    this.#gauge('secondsite_master_target_journal_full_seconds', 'When the journal is full at its growth of the last minutes', (pair) => pair.retention?.fullSeconds);
    this.#gauge('secondsite_master_target_applied_sequence', 'Newest applied change set of the epoch', (pair) => pair.appliedSequence);
    this.#gauge('secondsite_master_target_views', 'Open views', (pair) => pair.views);
  }

  update(pairs: readonly MasterTargetPairTelemetry[]): void {
    this.#pairs = pairs;
  }

  #gauge(name: string, description: string, read: (pair: MasterTargetPairTelemetry) => number | undefined): void {
    metrics.getMeter('master-target').createObservableGauge(name, { description }).addCallback((result: ObservableResult) => {
      for (const pair of this.#pairs) {
        const value = read(pair);
        if (value !== undefined) result.observe(value, { pair_id: pair.pairId });
      }
    });
  }
}

function secondsOf(time: string | undefined): number | undefined {
  const micros = time === undefined ? undefined : microsFromIso(time);
  return micros === undefined ? undefined : micros / 1e6;
}
