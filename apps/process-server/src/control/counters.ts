// SPDX-License-Identifier: Apache-2.0
// Counters of the process server's part of the write path.
// Loading the telemetry library first makes its meter provider the one that is found here.
import '@secondsite/telemetry';
import { type Counter, metrics } from '@opentelemetry/api';

const meter = metrics.getMeter('process-server');

export const counters = started({
  receivedBytes: meter.createCounter('secondsite_process_server_received_bytes', { description: 'Bytes of change sets made durable in the spool or taken by the master target' }),
  receivedSets: meter.createCounter('secondsite_process_server_received_sets', { description: 'Change sets made durable in the spool or taken by the master target' }),
  refusedSets: meter.createCounter('secondsite_process_server_refused_sets', { description: 'Change sets refused, by code' }),
  heldOffSets: meter.createCounter('secondsite_process_server_held_off_sets', { description: 'Change sets held off, by code' }),
  passedSets: meter.createCounter('secondsite_process_server_passed_sets', { description: 'Change sets that went on to the master target without the spool' }),
  forwardedSets: meter.createCounter('secondsite_process_server_forwarded_sets', { description: 'Change sets confirmed by the master target' }),
  scrubbedBytes: meter.createCounter('secondsite_process_server_scrubbed_bytes', { description: 'Bytes of the spool read again because they wait for long' }),
  damagedSets: meter.createCounter('secondsite_process_server_damaged_sets', { description: 'Change sets in the spool that the disk changed' }),
  referencedBytes: meter.createCounter('secondsite_process_server_referenced_bytes', { description: 'Bytes of change sets that the master target took from its own replicas (deduplication)' }),
  unresolvedSets: meter.createCounter('secondsite_process_server_unresolved_sets', { description: 'Change sets sent again in full because the master target did not have what they referred to' }),
  wireBytes: meter.createCounter('secondsite_process_server_wire_bytes', { description: 'Bytes sent to master targets, deduplicated and compressed, repeats included' }),
});

/** A counter that has not counted yet is shown as 0: who reads a rate sees the first step, too. */
function started<Counters extends Readonly<Record<string, Counter>>>(made: Counters): Counters {
  for (const counter of Object.values(made)) counter.add(0);
  return Object.freeze(made);
}
