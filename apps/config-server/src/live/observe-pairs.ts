// SPDX-License-Identifier: Apache-2.0
import { type Attributes, metrics } from '@opentelemetry/api';
import type { PairStatus } from '@secondsite/contracts';
import type { FeedLag } from '@secondsite/event-store';
import { alertSeverities } from '@secondsite/protection';
import type { AlertRow } from '../read-models/directory';

export interface ObservedParts {
  readonly pairs: () => Promise<readonly PairStatus[]>;
  readonly alerts: () => Promise<readonly AlertRow[]>;
  readonly relayLag: () => Promise<FeedLag>;
}

/** Metrics of replication and of the outbox, measured when they are asked for. Returns how to stop that. */
export function observePairs({ pairs, alerts, relayLag }: ObservedParts): () => void {
  const meter = metrics.getMeter('config-server');
  const rpo = meter.createObservableGauge('secondsite_pair_rpo_seconds', { description: 'Data that would be lost now; absent before the first recovery point.' });
  const inTransit = meter.createObservableGauge('secondsite_pair_in_transit_bytes', { description: 'Data that is not on the replica yet, by place.' });
  const stage = meter.createObservableGauge('secondsite_pair_stage', { description: '1 for the stage the pair is in.' });
  const spent = meter.createObservableGauge('secondsite_pair_rpo_spent_seconds', { description: 'Where the seconds of the RPO are spent, by place.' });
  const written = meter.createObservableGauge('secondsite_pair_written_bytes_rate', { description: 'Bytes that the application writes per second.' });
  const raised = meter.createObservableGauge('secondsite_alerts', { description: 'Alerts that are raised, by kind and severity.' });
  const stalled = meter.createObservableGauge('secondsite_pair_stalled', { description: '1 while the stall alarm is on.' });
  const waiting = meter.createObservableGauge('secondsite_event_relay_lag_events', { description: 'Events that are stored but not published yet.' });
  const age = meter.createObservableGauge('secondsite_event_relay_lag_seconds', { description: 'Age of the oldest of them.' });
  const gauges = [rpo, inTransit, stage, spent, written, raised, stalled, waiting, age];
  const observe = async (result: { observe(gauge: typeof rpo, value: number, attributes?: Attributes): void }): Promise<void> => {
    for (const pair of await pairs()) {
      const labels = { volume: pair.volumeName, plan: pair.planName };
      if (pair.rpoSeconds !== null) result.observe(rpo, pair.rpoSeconds, labels);
      result.observe(inTransit, pair.dataInTransit.agentBytes, { ...labels, place: 'agent' });
      result.observe(inTransit, pair.dataInTransit.processServerBytes, { ...labels, place: 'process-server' });
      result.observe(inTransit, pair.dataInTransit.masterTargetBytes, { ...labels, place: 'master-target' });
      result.observe(stage, 1, { ...labels, stage: pair.stage });
      for (const { place, seconds } of pair.rpoExplained.spent) result.observe(spent, seconds, { ...labels, place });
      result.observe(written, pair.bytesPerSecond, labels);
      result.observe(stalled, pair.flags.includes('stalled') ? 1 : 0, labels);
    }
    const raisedNow = await alerts();
    for (const [kind, severity] of Object.entries(alertSeverities)) result.observe(raised, raisedNow.filter((alert) => alert.kind === kind).length, { kind, severity });
    const lag = await relayLag();
    result.observe(waiting, lag.events);
    result.observe(age, lag.oldestSeconds);
  };
  meter.addBatchObservableCallback(observe, gauges);
  return () => meter.removeBatchObservableCallback(observe, gauges);
}
