// SPDX-License-Identifier: Apache-2.0
import { decompressChangeSet, verifyStored } from '@secondsite/change-set';
import {
  allowEveryone, type ChangeSetHandler, ChangeSetServer, type CompareOutcome, type CompareRequest, type PositionOutcome, type StoreOutcome, type StoreRequest,
} from '@secondsite/transport';
import { zstdDecompressSync } from 'node:zlib';
import type { FakeReplicas } from './fake-replicas';

interface Stream {
  epoch: number;
  /** Contents by sequence, uncompressed, of the newest epoch. */
  readonly sets: Map<number, Uint8Array>;
  /** `epoch/sequence` in the order of arrival, repeats left out. */
  readonly arrivals: string[];
  /** Bodies that wait for sets before them. */
  readonly unapplied: Map<number, Uint8Array>;
}

/** A master target that keeps change sets in memory, over real HTTP: accepts out of order in a window, refuses older epochs and gaps. */
export class FakeMasterTarget implements ChangeSetHandler {
  readonly streams = new Map<string, Stream>();
  readonly windowSets = 8;
  compressedSets = 0;
  /** Undefined: it does not know referring sets. */
  replicas: FakeReplicas | undefined;
  /** Bytes of all bodies that arrived. */
  bodyBytes = 0;
  requests = 0;
  /** `epoch/sequence` of every set that arrived damaged, or repeated with other bytes than before. */
  readonly damaged: string[] = [];
  /** 0: whoever sends is asked to wait a moment. */
  creditBytes = 64 << 20;
  /** Nothing is looked at or answered before this. */
  gate: Promise<void> | undefined;
  /** Answers instead of storing; undefined lets the set through. */
  answer: ((request: StoreRequest) => StoreOutcome | undefined) | undefined;
  #server: ChangeSetServer | undefined;
  #port = 0;

  /** Starts to listen; after `stop` on the same port. */
  async start(): Promise<string> {
    this.#server = new ChangeSetServer({ handler: this, authorize: allowEveryone });
    const { port, url } = await this.#server.listen({ host: '127.0.0.1', port: this.#port });
    this.#port = port;
    return url;
  }

  async stop(): Promise<void> {
    await this.#server?.close({ graceMillisMax: 100 });
  }

  async store(request: StoreRequest): Promise<StoreOutcome> {
    this.requests += 1;
    this.bodyBytes += request.body.length;
    await this.gate;
    const answer = this.answer?.(request);
    if (answer) return answer;
    const body = this.replicas ? await this.replicas.resolve(request.body) : request.body;
    if (!(body instanceof Uint8Array)) return body;
    const content = await this.#contentOf(body);
    const place = `${request.epoch}/${request.sequence}`;
    if (typeof content === 'string') {
      this.damaged.push(place);
      return { kind: 'corrupt', code: 'change-set/corrupt', detail: content, hint: 'Send it again.' };
    }
    const stream = this.#streamOf(request.pairId);
    if (request.epoch < stream.epoch) return { kind: 'refused', code: 'change-set/old-epoch', detail: 'older', hint: 'Begin a new epoch.' };
    const next = request.epoch > stream.epoch ? 1 : contiguous(stream) + 1;
    if (request.sequence >= next + this.windowSets) return { kind: 'held-off', code: 'change-set/gap', detail: `${next} is missing`, retryAfterMillis: 20 };
    if (request.epoch > stream.epoch) {
      stream.epoch = request.epoch;
      stream.sets.clear();
    }
    const known = stream.sets.get(request.sequence);
    if (!known) stream.arrivals.push(place);
    else if (!Buffer.from(known).equals(content)) this.damaged.push(place);
    stream.sets.set(request.sequence, content);
    if (!known) await this.#apply(request, { stream, body });
    return { kind: 'stored', ...this.#progress(stream) };
  }

  async position({ pairId }: { pairId: string }): Promise<PositionOutcome> {
    const stream = this.#streamOf(pairId);
    return { kind: 'known', epoch: stream.epoch, sequence: contiguous(stream), ...this.#progress(stream) };
  }

  /** Answers with the question itself, once the set that it names is here. */
  async compare({ pairId, epoch, sequence, question }: CompareRequest): Promise<CompareOutcome> {
    const stream = this.#streamOf(pairId);
    if (stream.epoch === epoch && contiguous(stream) >= sequence) return { kind: 'compared', answer: question };
    return { kind: 'held-off', code: 'comparison/not-applied', detail: 'not yet', retryAfterMillis: 20 };
  }

  /** Highest sequence of the newest epoch below which none is missing. */
  contiguous(pairId: string): number {
    return contiguous(this.#streamOf(pairId));
  }

  /** As after a crash that lost what was not durable yet: sets of the newest epoch behind this one. */
  forgetAfter(pairId: string, sequence: number): void {
    const { sets } = this.#streamOf(pairId);
    for (const known of sets.keys()) if (known > sequence) sets.delete(known);
  }

  /** Another disk, of which nothing is known. */
  loseEverything(): void {
    this.streams.clear();
  }

  /** In the order of the stream: what is out of line waits. */
  async #apply({ pairId, sequence }: StoreRequest, { stream, body }: { readonly stream: Stream; readonly body: Uint8Array }): Promise<void> {
    if (!this.replicas) return;
    stream.unapplied.set(sequence, Uint8Array.from(body));
    for (const [next, waiting] of [...stream.unapplied].sort(([one], [other]) => one - other)) {
      if (next > contiguous(stream)) return;
      stream.unapplied.delete(next);
      await this.replicas.apply(pairId, waiting);
    }
  }

  #progress(stream: Stream) {
    return { appliedEpoch: stream.epoch, appliedSequence: contiguous(stream), creditBytes: this.creditBytes };
  }

  #streamOf(pairId: string): Stream {
    let stream = this.streams.get(pairId);
    if (!stream) this.streams.set(pairId, (stream = { epoch: 0, sets: new Map(), arrivals: [], unapplied: new Map() }));
    return stream;
  }

  async #contentOf(body: Uint8Array): Promise<Uint8Array | string> {
    const stored = verifyStored(body);
    if (!stored.ok) return stored.detail;
    if (stored.header.compression === 'zstd') this.compressedSets += 1;
    const verified = await decompressChangeSet(stored, async (bytes) => zstdDecompressSync(bytes));
    return verified.ok ? verified.data : verified.detail;
  }
}

function contiguous(stream: Stream): number {
  let sequence = 0;
  while (stream.sets.has(sequence + 1)) sequence += 1;
  return sequence;
}
