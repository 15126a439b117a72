// SPDX-License-Identifier: Apache-2.0
/**
 * Nest's transport over the message bus: what a handler is bound to decides how the bus serves it. Events come from one durable pull consumer with
 * back-off and dead letters, requests are answered, desired state and telemetry are followed. All of it outlives reconnections; the bus belongs
 * to whoever gave it.
 */
import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import type { CurrentEvent } from '@secondsite/contracts';
import type { BusLog, ConsumeOptions, Delivery, MessageBus } from '@secondsite/messaging';
import assert from 'node:assert';
import { isObservable, lastValueFrom } from 'rxjs';
import type { Binding } from './bus-handlers';

export interface JetStreamServerOptions {
  readonly bus: MessageBus;
  readonly log: BusLog;
  /** Where events come from; needed when a handler is bound to some. Events that no handler is bound to are acknowledged unseen. */
  readonly events?: Omit<ConsumeOptions, 'handler'>;
}

interface Closable {
  close(): void | Promise<void>;
}

export class JetStreamServer extends Server implements CustomTransportStrategy {
  readonly #options: JetStreamServerOptions;
  #bound: Closable[] = [];

  constructor(options: JetStreamServerOptions) {
    super();
    this.#options = options;
  }

  /** Begins to serve the handlers that Nest found; never waits for NATS. */
  listen(callback: () => void): void {
    const handlers = [...this.messageHandlers.values()].map((handler) => ({ handler, binding: bindingOf(handler) }));
    if (handlers.some(({ binding }) => binding.kind === 'event')) this.#bound.push(this.#consume());
    for (const { handler, binding } of handlers) if (binding.kind !== 'event') this.#bound.push(this.#bind(handler, binding));
    callback();
  }

  /** Finishes the event in hand and the reconciliation that runs; takes nothing more. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#bound.splice(0).map(async (part) => part.close()));
  }

  /** The connection is the bus's own affair; nobody is told of it here. */
  on(): void {}

  unwrap<T>(): T {
    return this.#options.bus as T;
  }

  #consume(): Closable {
    const { bus, events } = this.#options;
    assert(events, 'handlers are bound to events, but nothing says where those come from');
    return bus.consume({ ...events, handler: (event, delivery) => this.#dispatch(event, delivery) });
  }

  async #dispatch(event: CurrentEvent, delivery: Delivery): Promise<void> {
    const handler = this.messageHandlers.get(event.type);
    if (handler) await settled(handler(event, delivery));
  }

  #bind(handler: MessageHandler, binding: Exclude<Binding, { kind: 'event' }>): Closable {
    const { bus } = this.#options;
    const { tenantId, role, componentId } = bus.identity;
    switch (binding.kind) {
      case 'operation':
        assert(binding.operation.role === role, `${binding.operation.name} is answered by role ${binding.operation.role}, not by ${role}`);
        return bus.serve(binding.operation, async (request) => settled(handler(request)));
      case 'desired-state':
        assert(binding.role === role, `the desired state of role ${binding.role} is none for ${role}`);
        return bus.watchDesiredState({ role: binding.role, componentId }, async (document) => void (await settled(handler(document))));
      case 'telemetry':
        return bus.subscribeTelemetry({ tenantId }, (telemetry) => {
          settled(handler(telemetry)).catch((error: unknown) => this.#options.log.error({ err: error }, 'telemetry not handled'));
        });
    }
  }
}

function bindingOf({ extras }: MessageHandler): Binding {
  const { binding } = (extras ?? {}) as { readonly binding?: Binding };
  assert(binding, 'handlers of the bus are bound by OnEvent, Answers, OnDesiredState or OnTelemetry');
  return binding;
}

/** Nest gives back a value, or a stream when a filter took part or several handlers are bound to one event. */
async function settled(outcome: ReturnType<MessageHandler>): Promise<unknown> {
  const result: unknown = await outcome;
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}
