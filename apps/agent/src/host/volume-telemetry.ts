// SPDX-License-Identifier: Apache-2.0
import type { AgentVolumeTelemetry } from '@secondsite/contracts';
import { isoFromMicros } from '@secondsite/units';
import type { VolumeSettings, VolumeStatus } from '../volume/volume-thread';

export interface VolumeReading {
  /** Undefined while the volume's thread is not there. */
  readonly status: VolumeStatus | undefined;
  readonly failure: { readonly code: string; readonly hint: string } | undefined;
  readonly rates: { readonly writesPerSecond: number; readonly bytesPerSecond: number };
}

/** What the agent says each second about one volume. */
export function volumeTelemetry({ volumeId, pair }: VolumeSettings, { status, failure, rates }: VolumeReading): AgentVolumeTelemetry {
  const replication = status?.replication;
  const fault = failure ?? replication?.fault;
  return {
    volumeId,
    ...(pair ? { pairId: pair.pairId } : {}),
    ...(replication?.move === undefined ? {} : { move: replication.move }),
    ...(status ? { sizeBytes: status.sizeBytes } : {}),
    nbdUris: [...(status?.nbdUris ?? [])],
    mode: replication?.mode ?? (pair ? 'resync-required' : 'unprotected'),
    epoch: replication?.epoch ?? 0,
    sequence: replication?.sequence ?? 0,
    ...(replication && replication.lastWriteTime > 0 ? { lastWriteTime: isoFromMicros(replication.lastWriteTime) } : {}),
    heldBytes: replication?.heldBytes ?? 0,
    dirtyBytes: replication?.dirtyBytes ?? 0,
    ...(replication?.resync ? { resync: replication.resync } : {}),
    ...rates,
    flowControlled: replication?.flowControlled ?? false,
    ...(replication ? { stays: replication.stays, shippedBytesPerSecond: replication.shippedBytesPerSecond } : {}),
    ...(fault ? { fault: { code: fault.code, hint: fault.hint } } : {}),
  };
}
