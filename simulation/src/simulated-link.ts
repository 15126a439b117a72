// SPDX-License-Identifier: Apache-2.0
// The network between two hops: the sender's side of the transport over simulated time, with the adversary in between. A request arrives once,
// twice or never, early or late, whole or damaged; its answer may be lost. What is sent is the sender's memory, read when it arrives: memory
// that was used again before its request had ended shows as damage.
import { type ChangeSetHandler, type CompareAnswer, type CompareOptions, type PositionAnswer, type PutOptions, type PutOutcome, type Unreachable } from '@secondsite/transport';
import { compareAnswerOf, positionAnswerOf, putOutcomeOf } from '@secondsite/transport/testing';
import { OperationError } from '@secondsite/units';
import type { Life } from './life';
import type { Scheduler } from './scheduler';

export interface Receiver {
  readonly life: Life;
  readonly handler: ChangeSetHandler;
}

/** Parts of all requests that meet it. */
export interface LinkConditions {
  /** Everything is lost: neither answer nor refusal. */
  blackhole: boolean;
  lostRequests: number;
  lostAnswers: number;
  resets: number;
  /** One bit of the body, or of the answer to a question, is another one on arrival. */
  damaged: number;
  repeated: number;
  /** Takes seconds. */
  late: number;
  delayMicros: number;
}

const GOOD: LinkConditions = { blackhole: false, lostRequests: 0, lostAnswers: 0, resets: 0, damaged: 0, repeated: 0, late: 0, delayMicros: 300 };

export interface LinkOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  /** Who listens there now. */
  readonly receiver: () => Receiver | undefined;
  /** Bytes that a sender puts on its way. */
  readonly onSent?: (bytes: Uint8Array) => void;
  readonly onFault: (error: unknown) => void;
}

export class SimulatedLink {
  readonly options: LinkOptions;
  conditions: LinkConditions = { ...GOOD };

  constructor(options: LinkOptions) {
    this.options = options;
  }

  heal(): void {
    this.conditions = { ...GOOD };
  }

  connect(life: Life): SimulatedClient {
    return new SimulatedClient(this, life);
  }

  /** Of one way, in microseconds. */
  delay(): number {
    const { scheduler } = this.options;
    const { delayMicros, late } = this.conditions;
    if (scheduler.chance(late)) return scheduler.between(1e6, 20e6);
    return scheduler.between(delayMicros / 2, delayMicros * 2);
  }
}

/** One request and its one outcome. */
interface Exchange<Outcome> {
  readonly what: string;
  readonly signal: AbortSignal | undefined;
  readonly handle: (handler: ChangeSetHandler) => Promise<Outcome>;
}

export class SimulatedClient {
  readonly #link: SimulatedLink;
  readonly #life: Life;
  readonly #closing = new AbortController();

  constructor(link: SimulatedLink, life: Life) {
    this.#link = link;
    this.#life = life;
  }

  async put(parts: readonly Uint8Array[], { pairId, epoch, sequence, traceparent, oldestPending, lateTraces = [], signal }: PutOptions): Promise<PutOutcome> {
    const { onSent } = this.#link.options;
    const sent = Buffer.concat(parts);
    onSent?.(sent);
    const what = `set ${epoch}/${sequence}`;
    let pending = true;
    const handle = (handler: ChangeSetHandler): Promise<PutOutcome> => {
      if (pending && !this.#life.isOver && !Buffer.concat(parts).equals(sent)) this.#link.options.onFault(new Error(`the memory of ${what} changed while it was on its way`));
      return putOutcomeOf(handler.store({ pairId, epoch, sequence, body: this.#arriving(sent), traceparent, oldestPending, lateTraces, peer: undefined }));
    };
    const outcome = await this.#exchange<PutOutcome>({ what, signal, handle });
    pending = false;
    return outcome;
  }

  position(pairId: string, signal?: AbortSignal): Promise<PositionAnswer> {
    return this.#exchange<PositionAnswer>({ what: 'position?', signal, handle: (handler) => positionAnswerOf(handler.position({ pairId, peer: undefined })) });
  }

  compare(question: Uint8Array, { pairId, epoch, sequence, signal }: CompareOptions): Promise<CompareAnswer> {
    const handle = async (handler: ChangeSetHandler): Promise<CompareAnswer> => {
      const answer = await compareAnswerOf(handler.compare({ pairId, epoch, sequence, question: this.#arriving(question), peer: undefined }));
      return answer.kind === 'compared' ? { ...answer, answer: this.#arriving(answer.answer) } : answer;
    };
    return this.#exchange<CompareAnswer>({ what: `question ${epoch}/${sequence}`, signal, handle });
  }

  close(): void {
    this.#closing.abort();
  }

  /** In memory of its own, as the server's. */
  #arriving(sent: Uint8Array): Uint8Array {
    const { scheduler } = this.#link.options;
    const body = Buffer.from(new ArrayBuffer(sent.length));
    body.set(sent);
    if (!scheduler.chance(this.#link.conditions.damaged)) return body;
    const at = scheduler.between(0, body.length);
    body[at] = (body[at] as number) ^ (1 << scheduler.between(0, 8));
    return body;
  }

  #exchange<Outcome extends { readonly kind: string }>({ what, signal, handle }: Exchange<Outcome>): Promise<Outcome | Unreachable> {
    return new Promise((resolve) => {
      let isOpen = true;
      const end = (outcome: Outcome | Unreachable): void => {
        if (!isOpen) return;
        isOpen = false;
        this.#life.note(`${what}: ${outcomeText(outcome)}`);
        resolve(outcome);
      };
      const cancel = (): void => end(unreachable('transport/cancelled'));
      if (signal?.aborted || this.#closing.signal.aborted) return cancel();
      for (const source of [signal, this.#closing.signal]) source?.addEventListener('abort', cancel, { once: true });
      // What the kernel has is on its way whatever becomes of the sender.
      const stillComes = (): boolean => (isOpen && !this.#life.isOver) || this.#link.options.scheduler.chance(0.5);
      this.#travel({ handle, stillComes, end: (outcome) => void this.#life.after(this.#link.delay(), () => end(outcome)), what });
      this.#life.after(this.#link.options.scheduler.between(6e6, 15e6), () => end(unreachable('transport/timeout')));
    });
  }

  #travel<Outcome>(request: { readonly what: string; readonly handle: (handler: ChangeSetHandler) => Promise<Outcome>; readonly stillComes: () => boolean; readonly end: (outcome: Outcome | Unreachable) => void }): void {
    const { scheduler } = this.#link.options;
    const { blackhole, lostRequests, lostAnswers, resets, repeated } = this.#link.conditions;
    if (blackhole || scheduler.chance(lostRequests)) return;
    const reset = scheduler.chance(resets);
    if (reset) request.end(unreachable('transport/unreachable'));
    if (reset && scheduler.chance(0.5)) return;
    const answer = scheduler.chance(lostAnswers) ? () => undefined : request.end;
    for (let copies = scheduler.chance(repeated) ? 2 : 1; copies > 0; copies--) {
      scheduler.after(this.#link.delay(), () => void (request.stillComes() && this.#arrive(request, answer)));
    }
  }

  #arrive<Outcome>({ handle, what }: { readonly handle: (handler: ChangeSetHandler) => Promise<Outcome>; readonly what: string }, answer: (outcome: Outcome | Unreachable) => void): void {
    const { receiver: listening, onFault, scheduler, name } = this.#link.options;
    const receiver = listening();
    if (!receiver) return answer(unreachable('transport/unreachable'));
    scheduler.note(name, `${what} arrives`);
    const reset = (): void => answer(unreachable('transport/unreachable'));
    const forget = receiver.life.onEnd(reset);
    handle(receiver.handler).then(
      (outcome) => {
        forget();
        if (!receiver.life.isOver && !this.#link.conditions.blackhole) answer(outcome);
      },
      (error: unknown) => onFault(error),
    );
  }
}

function outcomeText(outcome: { readonly kind: string; readonly code?: string; readonly cause?: unknown }): string {
  const code = outcome.cause instanceof OperationError ? outcome.cause.code : outcome.code;
  return code === undefined ? outcome.kind : `${outcome.kind} (${code})`;
}

function unreachable(code: string): Unreachable {
  return { kind: 'unreachable', cause: new OperationError({ code, operation: 'send', retryable: true, hint: 'The adversary took it.' }) };
}
