// SPDX-License-Identifier: Apache-2.0
import type { CloudEvent } from '@secondsite/contracts';
import { setTimeout as delay } from 'node:timers/promises';
import { type BusLog, silentLog } from './bus-log';
import type { NatsLink } from './nats-link';
import type { AddOptions, PendingEvents } from './pending-events';
import { publishEvent } from './publish-event';

const pauseMillisMax = 5_000;

export interface PendingEventSenderOptions {
  readonly link: NatsLink;
  readonly pending: PendingEvents;
  /** False while nothing may be told although the bus is there; `wake` when that is over. */
  readonly mayTell?: () => boolean;
  readonly log?: BusLog | undefined;
}

/** Publishes what waits in a file of pending events, in order, whenever the bus is there. */
export class PendingEventSender {
  private readonly stop = new AbortController();
  private readonly offConnected: () => void;
  private sending: Promise<void> | undefined;

  private readonly link: NatsLink;
  private readonly pending: PendingEvents;
  private readonly log: BusLog;

  constructor(private readonly options: PendingEventSenderOptions) {
    const { link, pending, log = silentLog } = options;
    [this.link, this.pending, this.log] = [link, pending, log];
    this.offConnected = link.onConnected(() => this.wake());
  }

  /** Resolves when the event is durable on this machine; it reaches the bus as soon as the bus can be reached. */
  async add(event: CloudEvent, options?: AddOptions): Promise<void> {
    await this.pending.add(event, options);
    this.wake();
  }

  /** Stops sending; what waits stays in the file. */
  async close(): Promise<void> {
    this.stop.abort();
    this.offConnected();
    await this.sending;
    await this.pending.close();
  }

  /** Idempotent; also called at each connection. */
  wake(): void {
    if (this.stop.signal.aborted) return;
    this.sending ??= this.sendAll().finally(() => {
      this.sending = undefined;
      if (this.pending.size > 0 && this.canSend()) this.wake();
    });
  }

  private canSend(): boolean {
    return this.link.isConnected && this.options.mayTell?.() !== false;
  }

  private async sendAll(): Promise<void> {
    let pauseMillis = 100;
    for (let event = this.pending.first(); event && this.canSend() && !this.stop.signal.aborted; event = this.pending.first()) {
      try {
        await publishEvent(this.link, event);
        await this.pending.remove(event.id);
        pauseMillis = 100;
      } catch (error) {
        this.log.warn({ err: error, type: event.type, id: event.id }, 'event not published; trying again');
        await delay(pauseMillis, undefined, { signal: this.stop.signal }).catch(() => undefined);
        pauseMillis = Math.min(pauseMillisMax, pauseMillis * 2);
      }
    }
  }
}
