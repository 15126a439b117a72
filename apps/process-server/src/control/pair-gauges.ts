// SPDX-License-Identifier: Apache-2.0
import type { ProcessServerPairTelemetry } from '@secondsite/contracts';
import { LatestGauges } from '@secondsite/telemetry';

/** The newest telemetry of each pair as Prometheus metrics. */
export function pairGauges(): LatestGauges<ProcessServerPairTelemetry> {
  return new LatestGauges<ProcessServerPairTelemetry>({
    meter: 'process-server',
    labels: ({ pairId }) => ({ pair_id: pairId }),
    gauges: [
      { name: 'secondsite_process_server_spool_bytes', description: 'Bytes in the spool that the master target does not have', read: (pair) => pair.spoolBytes },
      { name: 'secondsite_process_server_spool_sets', description: 'Change sets in the spool', read: (pair) => pair.spoolSets },
      { name: 'secondsite_process_server_flow_controlled', description: '1 while the spool is full and the agent is held off', read: (pair) => (pair.flowControlled ? 1 : 0) },
      { name: 'secondsite_process_server_hold_seconds', description: 'From the arrival of a change set until it is sent', read: (pair) => pair.stays?.holdSeconds },
      { name: 'secondsite_process_server_transfer_seconds', description: 'From then until the master target has answered', read: (pair) => pair.stays?.transferSeconds },
      { name: 'secondsite_process_server_forward_bytes_rate', description: 'Bytes per second that the master target takes, uncompressed', read: (pair) => pair.bytesPerSecond },
      { name: 'secondsite_process_server_wire_bytes_rate', description: 'The same as they are sent', read: (pair) => pair.wireBytesPerSecond },
      { name: 'secondsite_process_server_fault', description: '1 while the pair does not advance', read: (pair) => (pair.fault ? 1 : 0) },
    ],
  });
}
