// SPDX-License-Identifier: Apache-2.0
// The way from a volume to its process server, which may change to another one in the middle of the stream. Invariants: what was on its way when
// it changed is asked again on the new way, and what the old one answers from then on counts for nothing; hence every change set that it did
// not answer before is at the new one.
import type { CompareAnswer, CompareOptions, PositionAnswer, PutOptions, PutOutcome } from '@secondsite/transport';
import type { ChangeSetSender } from './change-set-shipper';

interface Way<Sender> {
  readonly sender: Sender;
  readonly end: AbortController;
}

export class SenderRoute<Sender extends ChangeSetSender = ChangeSetSender> implements ChangeSetSender {
  #way: Way<Sender>;

  constructor(sender: Sender) {
    this.#way = { sender, end: new AbortController() };
  }

  /** Where the next change set goes. */
  get sender(): Sender {
    return this.#way.sender;
  }

  /** Everything goes this way from now on; the old one is closed. */
  changeTo(sender: Sender): void {
    const old = this.#way;
    this.#way = { sender, end: new AbortController() };
    old.end.abort();
    old.sender.close();
  }

  put(parts: readonly Uint8Array[], options: PutOptions): Promise<PutOutcome> {
    return this.#ask(options.signal, (sender, signal) => sender.put(parts, { ...options, signal }));
  }

  position(pairId: string, signal?: AbortSignal): Promise<PositionAnswer> {
    return this.#ask(signal, (sender, either) => sender.position(pairId, either));
  }

  compare(question: Uint8Array, options: CompareOptions): Promise<CompareAnswer> {
    return this.#ask(options.signal, (sender, signal) => sender.compare(question, { ...options, signal }));
  }

  close(): void {
    this.#way.end.abort();
    this.#way.sender.close();
  }

  async #ask<Answer>(signal: AbortSignal | undefined, ask: (sender: Sender, signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const way = this.#way;
      const answer = await untilEither([signal, way.end.signal], (either) => ask(way.sender, either));
      if (way === this.#way || signal?.aborted) return answer;
    }
  }
}

/** `AbortSignal.any` would keep something for each request for as long as the way lives. */
async function untilEither<Answer>(signals: readonly (AbortSignal | undefined)[], ask: (either: AbortSignal) => Promise<Answer>): Promise<Answer> {
  const either = new AbortController();
  const abort = (): void => either.abort();
  for (const signal of signals) {
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
  }
  try {
    return await ask(either.signal);
  } finally {
    for (const signal of signals) signal?.removeEventListener('abort', abort);
  }
}
