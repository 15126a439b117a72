// SPDX-License-Identifier: Apache-2.0
import { type ByteCount, GIB, KIB, MIB, type TimeMicros } from '@secondsite/units';
import { isSilent, type PairReadings } from './readings';

export interface DataInTransit {
  /** Held in the agent's memory, plus what it still has to read again (bitmap mode, resynchronisation). */
  readonly agentBytes: ByteCount;
  readonly processServerBytes: ByteCount;
  readonly masterTargetBytes: ByteCount;
  readonly totalBytes: ByteCount;
  readonly waitsAt: 'nowhere' | 'agent' | 'process-server' | 'master-target';
  /** A sentence for the operator: where most waits and what holds it there. */
  readonly words: string;
}

/** Less than this is on its way, not waiting. */
const onItsWayBytes = 16 * MIB;

/** Data that is not yet on the replica, by place. */
export function dataInTransit(readings: PairReadings, now: TimeMicros): DataInTransit {
  const agentBytes = bytesAtAgent(readings);
  const processServerBytes = readings.processServer?.spoolBytes ?? 0;
  const masterTargetBytes = readings.masterTarget?.cacheBytes ?? 0;
  const totalBytes = agentBytes + processServerBytes + masterTargetBytes;
  const waitsAt = bottleneck({ agentBytes, processServerBytes, masterTargetBytes });
  return { agentBytes, processServerBytes, masterTargetBytes, totalBytes, waitsAt, words: inWords(waitsAt, { readings, now, totalBytes }) };
}

function bytesAtAgent({ agent }: PairReadings): ByteCount {
  if (!agent) return 0;
  const toReadAgain = agent.resync ? Math.max(0, agent.resync.totalBytes - agent.resync.doneBytes) : agent.mode === 'bitmap' ? agent.dirtyBytes : 0;
  return agent.heldBytes + toReadAgain;
}

function bottleneck(bytes: Pick<DataInTransit, 'agentBytes' | 'processServerBytes' | 'masterTargetBytes'>): DataInTransit['waitsAt'] {
  const most = Math.max(bytes.agentBytes, bytes.processServerBytes, bytes.masterTargetBytes);
  if (most < onItsWayBytes) return 'nowhere';
  if (most === bytes.agentBytes) return 'agent';
  return most === bytes.processServerBytes ? 'process-server' : 'master-target';
}

interface Scene {
  readonly readings: PairReadings;
  readonly now: TimeMicros;
  readonly totalBytes: ByteCount;
}

function inWords(waitsAt: DataInTransit['waitsAt'], scene: Scene): string {
  if (waitsAt === 'nowhere') return scene.totalBytes === 0 ? 'nothing is waiting' : `${formatBytes(scene.totalBytes)} on the way, nothing is waiting`;
  const most = `most of ${formatBytes(scene.totalBytes)} waits`;
  if (waitsAt === 'agent') return `${most} at the agent: ${whyAtAgent(scene)}`;
  if (waitsAt === 'process-server') return `${most} at the process server: ${whyAtProcessServer(scene)}`;
  return `${most} in the cache of the master target: ${isSilent(scene.readings.masterTarget, scene.now) ? 'it is not heard' : 'its disks apply slower than data arrives'}`;
}

function whyAtAgent({ readings, now }: Scene): string {
  if (isSilent(readings.agent, now)) return 'the agent is not heard';
  if (isSilent(readings.processServer, now)) return 'the process server is not heard';
  if (readings.agent?.resync) return 'it is resynchronising';
  if (readings.agent?.flowControlled) return 'the process server holds it off because its spool is full';
  if (readings.agent?.mode === 'bitmap') return 'its change buffer overflowed, it will resynchronise';
  return 'the way to the process server is slower than the writes';
}

function whyAtProcessServer({ readings, now }: Scene): string {
  if (isSilent(readings.processServer, now)) return 'it is not heard';
  if (isSilent(readings.masterTarget, now)) return 'the master target is not heard';
  return 'the link to the master target is slower than the writes';
}

/** `1.5 GiB`: three digits at most, binary units. */
export function formatBytes(bytes: ByteCount): string {
  const [divisor, unit] = bytes >= GIB ? [GIB, 'GiB'] : bytes >= MIB ? [MIB, 'MiB'] : bytes >= KIB ? [KIB, 'KiB'] : [1, 'B'];
  return `${Number((bytes / divisor).toPrecision(3))} ${unit}`;
}
