// SPDX-License-Identifier: Apache-2.0
/**
 * Level-triggered: what counts is the newest document in the bucket. It is fetched at each connection, when a new one passes by, and every
 * 15 s anyway, so that nothing that is missed on the way can strand a component.
 */
import { type DataPlaneRole, desiredStateKey, type DesiredStateOf } from '@secondsite/contracts';
import type { Subscription } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { type BusLog, silentLog } from './bus-log';
import { type DesiredStateAddress, desiredStateSubject, getDesiredState } from './desired-state-bucket';
import type { NatsLink } from './nats-link';

const refreshMillis = 15_000;
const retryMillisMin = 50;
const retryMillisMax = 5_000;
/** A document that passed by is looked for this often; one that was refused by the bucket never gets there. */
const looksMax = 10;

export class DesiredStateWatcher<R extends DataPlaneRole> {
  private readonly stop = new AbortController();
  private readonly offConnected: () => void;
  private readonly timer: NodeJS.Timeout;
  private readonly log: BusLog;
  private handledRevision = -1;
  private looks = 0;
  private wanted = false;
  private working: Promise<void> | undefined;
  private subscription: Subscription | undefined;

  /** `handler` gets the newest document, one call at a time; when it throws, it is called again (with the newest document then) after a pause. */
  constructor(
    private readonly link: NatsLink,
    private readonly address: DesiredStateAddress<R>,
    private readonly handler: (document: DesiredStateOf[R]) => Promise<void>,
    log: BusLog = silentLog,
  ) {
    this.log = log;
    this.timer = setInterval(() => this.refresh(), refreshMillis);
    this.offConnected = link.onConnected(() => {
      this.follow();
      this.refresh();
    });
  }

  /** Waits for a handler that is running. Idempotent. */
  async close(): Promise<void> {
    this.stop.abort();
    clearInterval(this.timer);
    this.offConnected();
    this.subscription?.unsubscribe();
    await this.working;
  }

  private refresh(): void {
    this.wanted = true;
    if (this.working || this.stop.signal.aborted || !this.link.isConnected) return;
    this.working = this.work();
  }

  private async work(): Promise<void> {
    let pauseMillis = retryMillisMin;
    while (this.wanted && !this.stop.signal.aborted && this.link.isConnected) {
      this.wanted = false;
      try {
        if (await this.handleNewest()) pauseMillis = retryMillisMin;
        else await this.pause(retryMillisMin);
      } catch (error) {
        this.log.warn({ err: error, key: desiredStateKey(this.address) }, 'desired state not reached; trying again');
        this.wanted = true;
        await this.pause(pauseMillis);
        pauseMillis = Math.min(retryMillisMax, pauseMillis * 2);
      }
    }
    this.working = undefined;
  }

  /** Returns false when a newer document is on its way into the bucket. */
  private async handleNewest(): Promise<boolean> {
    const document = await getDesiredState(this.link, this.address);
    if (document && document.revision !== this.handledRevision) {
      await this.handler(document);
      this.handledRevision = document.revision;
      this.looks = 0;
    }
    if (this.looks === 0) return true;
    this.looks -= 1;
    this.wanted = true;
    return false;
  }

  /** What passes by is only a hint to look: the bucket may still refuse it, or not have it yet. */
  private follow(): void {
    if (this.subscription && !this.subscription.isClosed()) return;
    this.subscription = this.link.connection().subscribe(desiredStateSubject(this.address), {
      callback: () => {
        this.looks = looksMax;
        this.refresh();
      },
    });
  }

  private async pause(millis: number): Promise<void> {
    await delay(millis, undefined, { signal: this.stop.signal }).catch(() => undefined);
  }
}
