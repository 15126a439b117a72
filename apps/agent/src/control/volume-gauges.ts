// SPDX-License-Identifier: Apache-2.0
import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { AgentVolumeTelemetry } from '@secondsite/contracts';

/** The newest telemetry of each volume as Prometheus metrics. */
export class VolumeGauges {
  #volumes: readonly AgentVolumeTelemetry[] = [];

  constructor() {
    this.#gauge('secondsite_agent_held_bytes', 'Captured bytes that are not durable at the process server', (volume) => volume.heldBytes);
    this.#gauge('secondsite_agent_dirty_bytes', 'Bytes still to be resynchronised', (volume) => volume.dirtyBytes);
    this.#gauge('secondsite_agent_write_rate', 'Writes per second', (volume) => volume.writesPerSecond);
    this.#gauge('secondsite_agent_write_bytes_rate', 'Bytes written per second', (volume) => volume.bytesPerSecond);
    this.#gauge('secondsite_agent_data_mode', '1 in data mode', (volume) => (volume.mode === 'data' ? 1 : 0));
    this.#gauge('secondsite_agent_flow_controlled', '1 while the process server holds the agent off', (volume) => (volume.flowControlled ? 1 : 0));
    this.#gauge('secondsite_agent_sequence', 'Newest sealed change set of the epoch', (volume) => volume.sequence);
  }

  update(volumes: readonly AgentVolumeTelemetry[]): void {
    this.#volumes = volumes;
  }

  #gauge(name: string, description: string, read: (volume: AgentVolumeTelemetry) => number): void {
    metrics.getMeter('agent').createObservableGauge(name, { description }).addCallback((result: ObservableResult) => {
      for (const volume of this.#volumes) result.observe(read(volume), { volume_id: volume.volumeId });
    });
  }
}
