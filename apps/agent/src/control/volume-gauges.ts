// SPDX-License-Identifier: Apache-2.0
import type { AgentVolumeTelemetry } from '@secondsite/contracts';
import { LatestGauges } from '@secondsite/telemetry';

/** The newest telemetry of each volume as Prometheus metrics. */
export function volumeGauges(): LatestGauges<AgentVolumeTelemetry> {
  return new LatestGauges<AgentVolumeTelemetry>({
    meter: 'agent',
    labels: ({ volumeId }) => ({ volume_id: volumeId }),
    gauges: [
      { name: 'secondsite_agent_held_bytes', description: 'Captured bytes that are not durable at the process server', read: (volume) => volume.heldBytes },
      { name: 'secondsite_agent_dirty_bytes', description: 'Bytes still to be resynchronised', read: (volume) => volume.dirtyBytes },
      { name: 'secondsite_agent_write_rate', description: 'Writes per second', read: (volume) => volume.writesPerSecond },
      { name: 'secondsite_agent_write_bytes_rate', description: 'Bytes written per second', read: (volume) => volume.bytesPerSecond },
      { name: 'secondsite_agent_shipped_bytes_rate', description: 'Bytes of change sets that were answered, per second', read: (volume) => volume.shippedBytesPerSecond },
      { name: 'secondsite_agent_data_mode', description: '1 in data mode', read: (volume) => (volume.mode === 'data' ? 1 : 0) },
      { name: 'secondsite_agent_flow_controlled', description: '1 while the process server holds the agent off', read: (volume) => (volume.flowControlled ? 1 : 0) },
      { name: 'secondsite_agent_sequence', description: 'Newest sealed change set of the epoch', read: (volume) => volume.sequence },
      { name: 'secondsite_agent_gather_seconds', description: 'From the first write of a change set until it is sealed', read: (volume) => volume.stays?.gatherSeconds },
      { name: 'secondsite_agent_queue_seconds', description: 'From then until it is sent', read: (volume) => volume.stays?.queueSeconds },
      { name: 'secondsite_agent_send_seconds', description: 'From then until it is answered', read: (volume) => volume.stays?.sendSeconds },
      { name: 'secondsite_agent_fault', description: '1 while something goes wrong with the volume', read: (volume) => (volume.fault ? 1 : 0) },
    ],
  });
}
