// SPDX-License-Identifier: Apache-2.0
/**
 * Runs commands: read the streams they touch, let the decider decide, append what happened together with the read models, all in one
 * transaction. Commands run one after the other in this process; should another process interfere, the transaction is tried again.
 */
import { type Actor, type CurrentEvent, findEventDefinition, makeEvent } from '@secondsite/contracts';
import type { Addition, EventStore, EventStoreTransaction } from '@secondsite/event-store';
import { type Decider, type Fact, type Rejection, replay } from '@secondsite/protection';
import { RefusedRequest } from '@secondsite/service-kit';
import { activeTraceparent } from '@secondsite/telemetry';
import { isOperationError, type TimeMicros } from '@secondsite/units';
import assert from 'node:assert';

/** Who wants it and why; goes into every event. */
export interface CommandOrigin {
  readonly actor: Actor;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly traceparent?: string | undefined;
}

export interface CommandRunnerOptions {
  readonly tenantId: string;
  /** `/config-server/<component id>`. */
  readonly source: string;
  readonly now: () => TimeMicros;
  readonly newId: () => string;
  /** Called after the commit with everything that was appended. Must not throw. */
  readonly onCommitted: (events: readonly CurrentEvent[]) => void;
}

const attemptsMax = 3;

export class CommandRunner {
  #queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly store: EventStore, private readonly options: CommandRunnerOptions) {}

  /** Throws RefusedRequest when a decider refuses; nothing is appended then. */
  run<Result>(origin: CommandOrigin, work: (unit: UnitOfWork) => Promise<Result>): Promise<Result> {
    const turn = this.#queue.then(() => this.#attempt(origin, work));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #attempt<Result>(origin: CommandOrigin, work: (unit: UnitOfWork) => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#transact(origin, work);
      } catch (error) {
        if (attempt === attemptsMax || !isOperationError(error, 'event-store/conflict')) throw error;
      }
    }
  }

  async #transact<Result>(origin: CommandOrigin, work: (unit: UnitOfWork) => Promise<Result>): Promise<Result> {
    const appended: CurrentEvent[] = [];
    const result = await this.store.transaction((transaction) => work(new UnitOfWork({ transaction, origin, options: this.options, appended })));
    if (appended.length > 0) this.options.onCommitted(appended);
    return result;
  }
}

interface UnitParts {
  readonly transaction: EventStoreTransaction;
  readonly origin: CommandOrigin;
  readonly options: CommandRunnerOptions;
  readonly appended: CurrentEvent[];
}

/** What a command may do inside its transaction. */
export class UnitOfWork {
  readonly #correlationId: string;

  constructor(private readonly parts: UnitParts) {
    this.#correlationId = parts.origin.correlationId ?? parts.options.newId();
  }

  get transaction(): EventStoreTransaction {
    return this.parts.transaction;
  }

  newId(): string {
    return this.parts.options.newId();
  }

  /** Lets a decider decide on one stream and appends its facts. Returns the state afterwards. Throws RefusedRequest. */
  async decide<Command, State, DecidedFact extends Fact>(
    aggregate: { readonly decider: Decider<Command, State, DecidedFact>; readonly streamId: string }, command: Command,
  ): Promise<State> {
    const { decider, streamId } = aggregate;
    const { version, events } = await this.transaction.read(streamId);
    const state = replay(decider, events as unknown as readonly DecidedFact[]);
    const decision = decider.decide(command, state);
    if (!decision.accepted) throw refusedRequest(decision.rejection);
    await this.#append({ streamId, expectedVersion: version, events: decision.facts.map((fact) => this.#event(fact)) });
    return decision.facts.reduce(decider.evolve, state);
  }

  /** As `decide`, for a command that reports an event: where the decider takes its fact, the event itself is appended, as it is. */
  async decideOn<Command, State, DecidedFact extends Fact>(
    event: CurrentEvent, aggregate: { readonly decider: Decider<Command, State, DecidedFact>; readonly streamId: string }, command: Command,
  ): Promise<void> {
    const { decider, streamId } = aggregate;
    const { version, events } = await this.transaction.read(streamId);
    const decision = decider.decide(command, replay(decider, events as unknown as readonly DecidedFact[]));
    if (!decision.accepted) throw refusedRequest(decision.rejection);
    const facts = decision.facts.map((fact) => (fact.type === event.type ? event : this.#event(fact)));
    await this.#append({ streamId, expectedVersion: version, events: facts });
  }

  /** Appends facts that nobody has to decide (audit, what components did) to the end of a stream. */
  async append(streamId: string, ...facts: readonly Fact[]): Promise<void> {
    await this.keep(streamId, ...facts.map((fact) => this.#event(fact)));
  }

  /** Appends events of others as they are, with their own id, time and actor; those that are already there are left out. */
  async keep(streamId: string, ...events: readonly CurrentEvent[]): Promise<void> {
    const fresh: CurrentEvent[] = [];
    for (const event of events) if (!(await this.transaction.has(event.id))) fresh.push(event);
    await this.#append({ streamId, expectedVersion: 'any', events: fresh });
  }

  async #append(addition: Addition): Promise<void> {
    if (addition.events.length === 0) return;
    await this.transaction.append(addition);
    this.parts.appended.push(...addition.events);
  }

  #event(fact: Fact): CurrentEvent {
    const { origin, options } = this.parts;
    const definition = findEventDefinition(fact.type);
    assert(definition, `${fact.type} is not in the contract`);
    const { actor, causationId } = origin;
    const traceparent = activeTraceparent() ?? origin.traceparent;
    const { tenantId, source } = options;
    const stamp = { id: options.newId(), time: options.now(), source, tenantId, actor, correlationId: this.#correlationId };
    return makeEvent(definition, fact.data, { ...stamp, causationId, traceparent }) as CurrentEvent;
  }
}

const statusOf: Record<Rejection['kind'], number> = { 'not-found': 404, conflict: 409, invalid: 422 };

export function refusedRequest({ kind, code, detail, hint }: Rejection): RefusedRequest {
  return new RefusedRequest({ status: statusOf[kind], code, detail, hint });
}
