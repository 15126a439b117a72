// SPDX-License-Identifier: Apache-2.0
/**
 * What the components said last, in memory only: it is whole again one second after a restart. Bounded by the number of components and
 * pairs. When something was heard is kept by the steady clock and told by this server's wall clock as it is set when asked, so that setting it makes
 * nobody silent or stalled, and hides nobody who is; times in telemetry are the components' own.
 */
import type { AgentVolumeTelemetry, CurrentEvent, MasterTargetPairTelemetry, PairArrivalTelemetry, ProcessServerPairTelemetry, Telemetry } from '@secondsite/contracts';
import type { AgentReading, MasterTargetReading, PairReadings, ProcessServerReading } from '@secondsite/protection';
import { microsFromIso, type TimeMicros } from '@secondsite/units';
import type { ServerClock } from '../server-clock';

interface Heard<Message> {
  readonly message: Message;
  readonly steadySeenAt: number;
}

type ChangeSetApplied = Extract<CurrentEvent, { type: 'secondsite.replication.change-set-applied.v2' }>['data'];

interface Progress {
  readonly mark: string;
  readonly steadyAt: number;
}

/** Names of what the readings of a pair are taken from. */
export interface PairWay {
  readonly pairId: string;
  readonly volumeId: string;
  readonly hostId: string;
  readonly processServerId: string;
  readonly masterTargetId: string;
  /** The process server that it moves away from. */
  readonly leaving?: { readonly fromId: string } | undefined;
}

export class LiveStatus {
  readonly #heard = new Map<string, Heard<Telemetry>>();
  readonly #progress = new Map<string, Progress>();
  /** By pair: newer than telemetry while its epoch goes on. */
  readonly #applied = new Map<string, ChangeSetApplied>();
  readonly #steadyStart: number;

  constructor(private readonly clock: Pick<ServerClock, 'steadyMicros' | 'timeOf'>) {
    this.#steadyStart = clock.steadyMicros();
  }

  get startedAt(): TimeMicros {
    return this.clock.timeOf(this.#steadyStart);
  }

  /** Returns whether the component said an address that is new. */
  observe(telemetry: Telemetry): boolean {
    const before = this.#heard.get(telemetry.componentId)?.message.url;
    this.#heard.set(telemetry.componentId, { message: telemetry, steadySeenAt: this.clock.steadyMicros() });
    if (telemetry.role === 'master-target') for (const pair of telemetry.pairs) this.#noteProgress(pair);
    return telemetry.url !== undefined && telemetry.url !== before;
  }

  /** The RPO of the pair follows from it at once. Repeated and late events change nothing. */
  apply(applied: ChangeSetApplied): void {
    const known = this.#applied.get(applied.pairId);
    if (!known || isNewer(applied, known)) this.#applied.set(applied.pairId, applied);
  }

  /** A component that was not heard since the start of this server was never seen. */
  seenAt(componentId: string): TimeMicros | undefined {
    const heard = this.#heard.get(componentId);
    return heard && this.#seenAt(heard);
  }

  url(componentId: string): string | undefined {
    return this.#heard.get(componentId)?.message.url;
  }

  /** Where it keeps its data. */
  freeBytes(componentId: string): number | undefined {
    return this.#heard.get(componentId)?.message.freeBytes;
  }

  version(componentId: string): string | undefined {
    return this.#heard.get(componentId)?.message.version;
  }

  volume(way: { readonly hostId: string; readonly volumeId: string }): AgentVolumeTelemetry | undefined {
    const heard = this.#heard.get(way.hostId);
    return heard?.message.role === 'agent' ? heard.message.volumes.find((volume) => volume.volumeId === way.volumeId) : undefined;
  }

  /** Of a pair on its way to another master target, what that one said of this very move. */
  arrival({ pairId, movingTo, placement }: { readonly pairId: string; readonly movingTo: string | undefined; readonly placement: number }): PairArrivalTelemetry | undefined {
    const heard = movingTo === undefined ? undefined : this.#heard.get(movingTo)?.message;
    if (heard?.role !== 'master-target') return undefined;
    return heard.arrivals?.find((arrival) => arrival.pairId === pairId && arrival.placement === placement);
  }

  readings(way: PairWay): PairReadings {
    const agent = this.#agentReading(way);
    const processServer = this.#processServerReading(way);
    const masterTarget = this.#masterTargetReading(way);
    return { ...(agent ? { agent } : {}), ...(processServer ? { processServer } : {}), ...(masterTarget ? { masterTarget } : {}) };
  }

  /** What the process server that a pair moves away from said of it last. */
  leftBehind({ pairId, leaving }: Pick<PairWay, 'pairId' | 'leaving'>): ProcessServerPairTelemetry | undefined {
    const message = this.#heard.get(leaving?.fromId ?? '')?.message;
    return message?.role === 'process-server' ? message.pairs.find((pair) => pair.pairId === pairId) : undefined;
  }

  /** When the pair last moved on at the target; when watching began if it did not since. */
  progressAt(pairId: string, watchedSince: TimeMicros): TimeMicros {
    const progress = this.#progress.get(pairId);
    return progress ? this.clock.timeOf(progress.steadyAt) : Math.max(this.startedAt, watchedSince);
  }

  #seenAt({ steadySeenAt }: Heard<Telemetry>): TimeMicros {
    return this.clock.timeOf(steadySeenAt);
  }

  #noteProgress(pair: MasterTargetPairTelemetry): void {
    const mark = `${pair.epoch}/${pair.appliedSequence}/${pair.coveredTime ?? ''}`;
    if (this.#progress.get(pair.pairId)?.mark !== mark) this.#progress.set(pair.pairId, { mark, steadyAt: this.clock.steadyMicros() });
  }

  #agentReading(way: PairWay): AgentReading | undefined {
    const heard = this.#heard.get(way.hostId);
    const volume = this.volume(way);
    return heard && volume && volume.pairId === way.pairId ? agentReading(volume, this.#seenAt(heard)) : undefined;
  }

  #processServerReading(way: PairWay): ProcessServerReading | undefined {
    const heard = this.#heard.get(way.processServerId);
    if (heard?.message.role !== 'process-server') return undefined;
    const pair = heard.message.pairs.find((one) => one.pairId === way.pairId);
    if (!pair) return undefined;
    return processServerReading({ ...pair, spoolBytes: pair.spoolBytes + (this.leftBehind(way)?.spoolBytes ?? 0) }, this.#seenAt(heard));
  }

  #masterTargetReading(way: PairWay): MasterTargetReading | undefined {
    const heard = this.#heard.get(way.masterTargetId);
    if (heard?.message.role !== 'master-target') return undefined;
    const pair = heard.message.pairs.find((one) => one.pairId === way.pairId);
    return pair && masterTargetReading({ ...pair, ...this.#newestCovered(pair) }, this.#seenAt(heard));
  }

  #newestCovered({ pairId, epoch, coveredTime }: MasterTargetPairTelemetry): { coveredTime?: string } {
    const applied = this.#applied.get(pairId);
    return applied && applied.epoch === epoch && (coveredTime === undefined || applied.coveredTime > coveredTime) ? { coveredTime: applied.coveredTime } : {};
  }
}

function isNewer(one: ChangeSetApplied, other: ChangeSetApplied): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.sequence > other.sequence);
}

function agentReading(volume: AgentVolumeTelemetry, seenAt: TimeMicros): AgentReading {
  const { mode, epoch, sequence, heldBytes, dirtyBytes, resync, writesPerSecond, bytesPerSecond, flowControlled, stays, shippedBytesPerSecond, fault } = volume;
  const reading = {
    seenAt, mode, epoch, sequence, heldBytes, dirtyBytes, writesPerSecond, bytesPerSecond, flowControlled, ...known({ stays, shippedBytesPerSecond, fault }),
  };
  if (!resync) return reading;
  const { doneBytes, totalBytes, bytesPerSecond: rate, finishSeconds, blocks } = resync;
  return { ...reading, resync: { doneBytes, totalBytes, ...known({ bytesPerSecond: rate, finishSeconds, blocks }) } };
}

function processServerReading(pair: ProcessServerPairTelemetry, seenAt: TimeMicros): ProcessServerReading {
  const { spoolBytes, forwardedSequence, flowControlled, bytesPerSecond, stays, fault, sent } = pair;
  return { seenAt, spoolBytes, forwardedSequence, ...known({ flowControlled, bytesPerSecond, stays, fault, sent }) };
}

function masterTargetReading(pair: MasterTargetPairTelemetry, seenAt: TimeMicros): MasterTargetReading {
  const { epoch, receivedSequence, appliedSequence, cacheBytes, stage, green, journalBytes, views, bytesPerSecond, stays, fault } = pair;
  return {
    seenAt, epoch, receivedSequence, appliedSequence, cacheBytes, stage, green, journalBytes, views, ...known({ bytesPerSecond, stays, fault }),
    ...(pair.retention && { retention: pair.retention }), ...(pair.scrub && { scrub: pair.scrub }), ...time('coveredTime', pair.coveredTime), ...time('earliestPoint', pair.earliestPoint), ...time('latestPoint', pair.latestPoint),
  };
}

/** The fields that were said. */
function known<Fields extends object>(fields: Fields): { readonly [K in keyof Fields]?: Exclude<Fields[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { readonly [K in keyof Fields]?: Exclude<Fields[K], undefined> };
}

function time<Name extends string>(name: Name, text: string | undefined): { readonly [K in Name]?: TimeMicros } {
  const micros = text === undefined ? undefined : microsFromIso(text);
  return (micros === undefined ? {} : { [name]: micros }) as { readonly [K in Name]?: TimeMicros };
}
