// SPDX-License-Identifier: Apache-2.0
import { streamNames } from '@secondsite/contracts';
import { DiscardPolicy, type JetStreamManager, nanos, type NatsConnection, RetentionPolicy, type StreamConfig, StorageType } from 'nats';

export interface TopologyOptions {
  /** How long domain events stay on the bus; the event store keeps them for ever. */
  readonly eventDaysMax?: number;
  readonly replicas?: 1 | 3 | 5;
}

const dayMillis = 86_400_000;

function streams({ eventDaysMax = 30, replicas = 1 }: TopologyOptions): Partial<StreamConfig>[] {
  const shared = { retention: RetentionPolicy.Limits, discard: DiscardPolicy.Old, num_replicas: replicas };
  return [
    {
      ...shared, name: streamNames.events, subjects: ['ss.*.*.*.*.*'], storage: StorageType.File, max_age: nanos(eventDaysMax * dayMillis),
      duplicate_window: nanos(10 * 60_000),
    },
    { ...shared, name: streamNames.telemetry, subjects: ['sst.*.*.*'], storage: StorageType.Memory, max_age: nanos(60_000), max_bytes: 64 * 1024 * 1024 },
    { ...shared, name: streamNames.deadLetters, subjects: ['ssd.>'], storage: StorageType.File, max_age: nanos(90 * dayMillis) },
  ];
}

/** Makes the streams and the bucket, or brings existing ones to the settings wanted. Idempotent; run by the configuration server at each connection. */
export async function ensureTopology(connection: NatsConnection, options: TopologyOptions = {}): Promise<void> {
  const manager = await connection.jetstreamManager();
  for (const stream of streams(options)) await ensureStream(manager, stream);
  await connection.jetstream().views.kv(streamNames.desiredState, { history: 5, replicas: options.replicas ?? 1, storage: StorageType.File });
}

async function ensureStream(manager: JetStreamManager, wanted: Partial<StreamConfig>): Promise<void> {
  try {
    await manager.streams.info(wanted.name as string);
  } catch (error) {
    if (!isStreamNotFound(error)) throw error;
    await manager.streams.add(wanted);
    return;
  }
  await manager.streams.update(wanted.name as string, wanted);
}

/** JetStream's own code for "there is no such stream". */
function isStreamNotFound(error: unknown): boolean {
  return (error as { api_error?: { err_code?: number } }).api_error?.err_code === 10059;
}
