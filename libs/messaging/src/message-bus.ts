// SPDX-License-Identifier: Apache-2.0
import {
  type CloudEvent, type ComponentAddress, type DataPlaneRole, type DesiredStateOf, EventMaker, type Operation, type ReplyOf, type RequestInputOf, type Telemetry,
} from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import { randomUUID } from 'node:crypto';
import { type BusLog, silentLog } from './bus-log';
import { inboxPrefix } from './bus-permissions';
import { type DeadLetter, listDeadLetters } from './dead-letters';
import { type DesiredStateAddress, getDesiredState, putDesiredState } from './desired-state-bucket';
import { DesiredStateWatcher } from './desired-state-watcher';
import { type ConsumeOptions, EventConsumer } from './event-consumer';
import { type BusTlsFiles, NatsLink } from './nats-link';
import { PendingEventSender } from './pending-event-sender';
import { type AddOptions, PendingEvents } from './pending-events';
import { publishEvent, type PublishedEvent } from './publish-event';
import { type OperationHandler, requestReply, type RequestTarget, serveOperation } from './request-reply';
import { publishTelemetry, subscribeTelemetry, type TelemetryFilter } from './telemetry-channel';
import { ensureTopology, type TopologyOptions } from './topology';
import { type Instance, TwinWatch } from './twin-watch';

export interface MessageBusOptions {
  readonly servers: readonly string[];
  /** Who speaks; requests to this component are served under it. */
  readonly identity: ComponentAddress;
  /** PEM files of the identity folder. Absent: plain text, only for development. */
  readonly tls?: BusTlsFiles | undefined;
  /** Where events wait while the bus is away; needed for `publishEventEventually`. */
  readonly pendingEventsFile?: string | undefined;
  readonly pendingEventsBytesMax?: number | undefined;
  readonly log?: BusLog | undefined;
}

interface Closable {
  close(): void | Promise<void>;
}

/** The control plane as one component sees it. Starting never waits for NATS: everything registered here begins to work when it can be reached. */
export class MessageBus {
  /** Makes events of this component. */
  readonly events: EventMaker;
  private readonly open = new Set<Closable>();
  private readonly log: BusLog;
  private readonly sender: PendingEventSender | undefined;
  private twins: TwinWatch | undefined;

  private constructor(readonly link: NatsLink, private readonly options: MessageBusOptions, pending: PendingEvents | undefined) {
    const { role, componentId, tenantId } = options.identity;
    this.log = options.log ?? silentLog;
    this.sender = pending && new PendingEventSender({ link, pending, log: options.log, mayTell: () => this.mayTell() });
    this.events = new EventMaker({
      source: `/${role}/${componentId}`, tenantId, actor: { kind: 'component', id: componentId }, newId: randomUUID,
      now: () => Math.round((performance.timeOrigin + performance.now()) * 1_000),
    });
  }

  static async start(options: MessageBusOptions): Promise<MessageBus> {
    const { pendingEventsFile: file, pendingEventsBytesMax: bytesMax, log, identity } = options;
    const pending = file === undefined ? undefined : await PendingEvents.open({ file, ...(bytesMax === undefined ? {} : { bytesMax }) });
    const link = new NatsLink({ servers: options.servers, tls: options.tls, log, name: `${identity.role}/${identity.componentId}`, inboxPrefix: inboxPrefix(identity) });
    return new MessageBus(link, options, pending);
  }

  get identity(): ComponentAddress {
    return this.options.identity;
  }

  get isConnected(): boolean {
    return this.link.isConnected;
  }

  /** Throws OperationError `bus/not-connected` after the time limit. */
  async whenConnected(timeoutMillis: number): Promise<void> {
    await this.link.whenConnected(timeoutMillis);
  }

  /** Keeps streams and bucket in place: makes them at each connection. For the configuration server (and tests). Resolves when done once. */
  async keepTopology(options: TopologyOptions = {}, timeoutMillis = 30_000): Promise<void> {
    await ensureTopology(await this.link.whenConnected(timeoutMillis), options);
    const stop = this.link.onConnected(() => {
      ensureTopology(this.link.connection(), options).catch((error: unknown) => this.log.error({ err: error }, 'streams could not be made'));
    });
    this.track({ close: stop });
  }

  /** Durable on the bus when it resolves. Throws OperationError `bus/…` when the bus is away; publishing again is safe. */
  publishEvent(event: CloudEvent): Promise<PublishedEvent> {
    return publishEvent(this.link, event);
  }

  /** Durable on this machine when it resolves; published in order when the bus is there, also after a restart. */
  async publishEventEventually(event: CloudEvent, options?: AddOptions): Promise<void> {
    if (!this.sender) throw noPendingFile();
    await this.sender.add(event, options);
  }

  /** See EventConsumer: at least once, in order, back-off, dead letters. */
  consume(options: ConsumeOptions): EventConsumer {
    return this.track(new EventConsumer(this.link, options, this.log));
  }

  deadLetters(durable: string, limit?: number): Promise<DeadLetter[]> {
    return listDeadLetters(this.link, durable, limit);
  }

  /** Returns false when it was dropped because the bus is away, or may belong to another process of this identity. */
  publishTelemetry(telemetry: Telemetry): boolean {
    return this.mayTell() && publishTelemetry(this.link, telemetry);
  }

  subscribeTelemetry(filter: TelemetryFilter, handler: (telemetry: Telemetry) => void): Closable {
    return this.track(subscribeTelemetry(this.link, filter, handler, this.log));
  }

  /** Puts the document if it differs from what is there; sets its revision. */
  putDesiredState<R extends DataPlaneRole>(
    address: DesiredStateAddress<R>, document: Omit<DesiredStateOf[R], 'revision'>,
  ): Promise<{ revision: number; changed: boolean }> {
    return putDesiredState(this.link, address, document);
  }

  getDesiredState<R extends DataPlaneRole>(address: DesiredStateAddress<R>): Promise<DesiredStateOf[R] | undefined> {
    return getDesiredState(this.link, address);
  }

  /** Hands over the newest document now and at each change, one call at a time; a handler that throws is called again. */
  watchDesiredState<R extends DataPlaneRole>(
    address: DesiredStateAddress<R>, handler: (document: DesiredStateOf[R]) => Promise<void>,
  ): DesiredStateWatcher<R> {
    return this.track(new DesiredStateWatcher(this.link, address, handler, this.log));
  }

  /** Asks one component of this tenant. Throws what the component threw, as OperationError, or `bus/…`. */
  request<O extends Operation>(
    operation: O, target: Omit<RequestTarget, 'tenantId'> & { readonly tenantId?: string }, data: RequestInputOf<O>,
  ): Promise<ReplyOf<O>> {
    return requestReply(this.link, operation, { tenantId: this.identity.tenantId, ...target }, data);
  }

  /** Answers requests to this component. */
  serve<O extends Operation>(operation: O, handler: OperationHandler<O>): Closable {
    return this.track(serveOperation(this.link, this.identity, operation, handler, this.log));
  }

  /** Looks for other processes with this identity; see TwinWatch. From now on telemetry and waiting events are told only while there is none. */
  watchForTwins(self: Instance, onElder: (elder: Instance) => void): TwinWatch {
    const onAlone = (): void => this.sender?.wake();
    this.twins = this.track(new TwinWatch({ link: this.link, identity: this.identity, self, onElder, onAlone }));
    return this.twins;
  }

  /** Finishes what is in hand, sends what is buffered, disconnects. Pending events stay in their file. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.open].map(async (part) => part.close()));
    this.open.clear();
    await this.sender?.close();
    await this.link.close();
  }

  private mayTell(): boolean {
    return this.twins === undefined || this.twins.isAlone;
  }

  private track<Part extends Closable>(part: Part): Part {
    this.open.add(part);
    return part;
  }
}

function noPendingFile(): OperationError {
  return new OperationError({
    code: 'bus/no-pending-file', operation: 'publish event eventually', retryable: false, hint: 'Start the bus with pendingEventsFile.',
  });
}
