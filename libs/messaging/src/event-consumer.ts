// SPDX-License-Identifier: Apache-2.0
/**
 * A durable pull consumer of domain events. Each event is delivered at least once, so handlers are idempotent (by event id). Events are handled
 * one at a time in stream order; one that fails is tried again after a growing pause while later ones go on, and after the last try it is
 * written to the dead-letter stream with its reason before it is given up. Only then is it terminated, so a crash loses nothing. While what the
 * handler needs is away (`isOutage`), no event is at fault: it is tried for as long as that lasts, and later ones wait behind it.
 */
import { type CurrentEvent, deadLetterSubject, readEvent, streamNames, subjectMatches } from '@secondsite/contracts';
import { isOperationError } from '@secondsite/units';
import { AckPolicy, type Consumer, type ConsumerConfig, type ConsumerMessages, DeliverPolicy, headers, type JsMsg, nanos, type NatsConnection } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { type BusLog, silentLog } from './bus-log';
import type { NatsLink } from './nats-link';
import { inMessageSpan } from './trace-headers';

export interface Delivery {
  /** 1 at the first delivery. */
  readonly attempt: number;
  /** Position in the stream. */
  readonly sequence: number;
}

export interface ConsumeOptions {
  /** Name of the consumer; two processes with the same name share its events. */
  readonly durable: string;
  /** Subject filters, e.g. `eventSubjectFilter({ context: 'replication' })`. */
  readonly subjects: readonly string[];
  /** Resolves when the event is dealt with; throws to have it delivered again. */
  readonly handler: (event: CurrentEvent, delivery: Delivery) => Promise<void>;
  /** Is this failure of the handler nothing that the event could help, e.g. a database that is away? Default: never. */
  readonly isOutage?: (error: unknown) => boolean;
  /** Tries before the dead-letter stream; default 5. */
  readonly attemptsMax?: number;
  /** First pause after a failure, doubled each time up to 30 s; default 500 ms. */
  readonly backOffMillis?: number;
  /** An event that is neither handled nor refused for this long is delivered again; default 60 s. It is extended while the handler runs. */
  readonly ackWaitMillis?: number;
  /** Where a new consumer begins; default `all`. */
  readonly startFrom?: 'all' | 'new';
}

const batchSize = 16;
const fetchMillis = 5_000;
/** What the server has sent already should have arrived by then; a server that is away is not waited for any longer. */
const flushMillis = 1_000;
const backOffMillisMax = 30_000;
/** What was away is noticed to be back so soon. */
const outagePauseMillisMax = 2_000;

export class EventConsumer {
  private readonly stop = new AbortController();
  private readonly running: Promise<void>;
  private readonly log: BusLog;
  private readonly attemptsMax: number;
  private readonly ackWaitMillis: number;
  private readonly backOffMillis: number;
  /** While stopping: everything that the server had sent is here. */
  private flushed = false;
  private fetching: ConsumerMessages | undefined;

  constructor(private readonly link: NatsLink, private readonly options: ConsumeOptions, log: BusLog = silentLog) {
    this.log = log;
    this.attemptsMax = options.attemptsMax ?? 5;
    this.ackWaitMillis = options.ackWaitMillis ?? 60_000;
    this.backOffMillis = options.backOffMillis ?? 500;
    this.running = this.run();
  }

  /** Finishes the event in hand, gives those behind it back at once, and stops. Idempotent. */
  async close(): Promise<void> {
    this.stop.abort();
    await this.link.flush(flushMillis);
    this.flushed = true;
    if (this.fetching?.getPending() === 0) this.fetching.stop();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        const connection = await this.link.whenConnected(fetchMillis);
        await this.consume(connection, await this.ensureConsumer(connection));
      } catch (error) {
        if (this.link.isClosing) return;
        if (!isOperationError(error, 'bus/not-connected')) this.log.warn({ err: error, durable: this.options.durable }, 'consumer interrupted; trying again');
        await delay(250, undefined, { signal: this.stop.signal }).catch(() => undefined);
      }
    }
  }

  private async ensureConsumer(connection: NatsConnection): Promise<Consumer> {
    const { durable } = this.options;
    const manager = await connection.jetstreamManager();
    const existing = await manager.consumers.info(streamNames.events, durable).catch(() => undefined);
    if (!existing) await manager.consumers.add(streamNames.events, this.config());
    else if ((existing.config.filter_subject ?? '') !== (this.filterSubject() ?? '')) await manager.consumers.update(streamNames.events, durable, this.config());
    return connection.jetstream().consumers.get(streamNames.events, durable);
  }

  /** The oldest supported server takes one filter; with several subjects the rest is sorted out here. */
  private filterSubject(): string | undefined {
    return this.options.subjects.length === 1 ? this.options.subjects[0] : undefined;
  }

  private config(): Partial<ConsumerConfig> {
    const filter = this.filterSubject();
    return {
      durable_name: this.options.durable, ack_policy: AckPolicy.Explicit, ack_wait: nanos(this.ackWaitMillis), max_deliver: -1,
      max_ack_pending: 1_000, deliver_policy: this.options.startFrom === 'new' ? DeliverPolicy.New : DeliverPolicy.All,
      ...(filter === undefined ? {} : { filter_subject: filter }),
    };
  }

  private async consume(connection: NatsConnection, consumer: Consumer): Promise<void> {
    while (!this.stop.signal.aborted && this.link.isConnected) {
      const messages = await consumer.fetch({ max_messages: batchSize, expires: fetchMillis });
      this.fetching = messages;
      const stopOnDisconnect = this.link.onDisconnected(() => messages.stop());
      const untouched: JsMsg[] = [];
      try {
        for await (const message of messages) {
          if (this.stop.signal.aborted) untouched.push(message);
          else await this.handle(connection, message);
          // The one in hand still counts as pending.
          if (this.flushed && messages.getPending() <= 1) break;
        }
      } finally {
        stopOnDisconnect();
        await this.giveBack(untouched);
      }
    }
  }

  /** Only when the server knows that nothing is asked for any more: else it would deliver them here again, and they would wait for `ackWait`. */
  private async giveBack(messages: readonly JsMsg[]): Promise<void> {
    if (messages.length === 0) return;
    await this.link.flush(flushMillis);
    for (const message of messages) message.nak();
    await this.link.flush(flushMillis);
  }

  private async handle(connection: NatsConnection, message: JsMsg): Promise<void> {
    if (!this.options.subjects.some((filter) => subjectMatches(message.subject, filter))) {
      message.ack();
      return;
    }
    const attempt = message.info.redeliveryCount;
    const keepAlive = setInterval(() => message.working(), this.ackWaitMillis / 3);
    try {
      const event = readEvent(JSON.parse(Buffer.from(message.data).toString('utf8')));
      const delivery = { attempt, sequence: message.seq };
      if (await this.outlastOutages(() => inMessageSpan(message.headers, `process ${event.type}`, () => this.options.handler(event, delivery)))) message.ack();
      else message.nak();
    } catch (error) {
      await this.fail(connection, message, error);
    } finally {
      clearInterval(keepAlive);
    }
  }

  /** Returns false when it was stopped, or the bus went away, before the outage ended. Throws what the handler throws otherwise. */
  private async outlastOutages(handle: () => Promise<void>): Promise<boolean> {
    for (let pauseMillis = this.backOffMillis; ; pauseMillis = Math.min(outagePauseMillisMax, 2 * pauseMillis)) {
      try {
        await handle();
        return true;
      } catch (error) {
        if (this.options.isOutage?.(error) !== true) throw error;
        this.log.warn({ err: error, durable: this.options.durable }, 'events wait for what their handler needs');
      }
      if (this.stop.signal.aborted || !this.link.isConnected) return false;
      await delay(pauseMillis, undefined, { signal: this.stop.signal }).catch(() => undefined);
    }
  }

  private async fail(connection: NatsConnection, message: JsMsg, error: unknown): Promise<void> {
    const attempt = message.info.redeliveryCount;
    const unreadable = error instanceof SyntaxError || isOperationError(error, 'event/invalid') || isOperationError(error, 'event/unknown-type');
    this.log.warn({ err: error, durable: this.options.durable, subject: message.subject, sequence: message.seq, attempt }, 'event not handled');
    if (!unreadable && attempt < this.attemptsMax) {
      message.nak(Math.min(backOffMillisMax, this.backOffMillis * 2 ** (attempt - 1)));
      return;
    }
    await this.bury(connection, message, error);
    message.term();
  }

  /** Durable when it returns; the message id makes a second burial of the same event a duplicate. */
  private async bury(connection: NatsConnection, message: JsMsg, error: unknown): Promise<void> {
    const { durable } = this.options;
    const described = headers();
    described.set('Ss-Durable', durable);
    described.set('Ss-Subject', message.subject);
    described.set('Ss-Sequence', String(message.seq));
    described.set('Ss-Attempts', String(message.info.redeliveryCount));
    described.set('Ss-Reason', (error instanceof Error ? error.message : String(error)).replaceAll(/[\r\n]+/g, ' ').slice(0, 1_000));
    await connection.jetstream().publish(deadLetterSubject(durable), message.data, { msgID: `${durable}-${message.seq}`, headers: described });
    this.log.error({ err: error, durable, subject: message.subject, sequence: message.seq }, 'event moved to the dead-letter stream');
  }
}
