// SPDX-License-Identifier: Apache-2.0
import { deadLetterSubject, streamNames } from '@secondsite/contracts';
import { AckPolicy, type ConsumerInfo, DeliverPolicy, type JetStreamManager, type JsMsg } from 'nats';
import type { NatsLink } from './nats-link';

/** An event that a consumer could not handle. */
export interface DeadLetter {
  readonly durable: string;
  readonly subject: string;
  readonly sequence: number;
  readonly attempts: number;
  readonly reason: string;
  /** The message as it was. */
  readonly body: string;
}

/** The dead letters of one consumer, oldest first, at most `limit`. */
export async function listDeadLetters(link: NatsLink, durable: string, limit = 100): Promise<DeadLetter[]> {
  const connection = link.connection();
  const manager = await connection.jetstreamManager();
  const info = await addReader(manager, durable);
  const count = Math.min(limit, info.num_pending);
  const letters: DeadLetter[] = [];
  if (count === 0) return letters;
  const consumer = await connection.jetstream().consumers.get(streamNames.deadLetters, info.name);
  for await (const message of await consumer.fetch({ max_messages: count, expires: 5_000 })) letters.push(deadLetter(message));
  await manager.consumers.delete(streamNames.deadLetters, info.name);
  return letters;
}

function addReader(manager: JetStreamManager, durable: string): Promise<ConsumerInfo> {
  return manager.consumers.add(streamNames.deadLetters, {
    ack_policy: AckPolicy.None, deliver_policy: DeliverPolicy.All, filter_subject: deadLetterSubject(durable), mem_storage: true,
    inactive_threshold: 30_000_000_000,
  });
}

function deadLetter(message: JsMsg): DeadLetter {
  const header = (name: string): string => message.headers?.get(name) ?? '';
  return {
    durable: header('Ss-Durable'), subject: header('Ss-Subject'), sequence: Number(header('Ss-Sequence')), attempts: Number(header('Ss-Attempts')),
    reason: header('Ss-Reason'), body: Buffer.from(message.data).toString('utf8'),
  };
}
