// SPDX-License-Identifier: Apache-2.0
// A FakeTarget behind the real data-plane server: what an agent under test sends to over HTTP.
import { allowEveryone, ChangeSetServer, type CompareOutcome, type PositionOutcome, type StoreOutcome } from '@secondsite/transport';
import type { TlsOptions } from 'node:tls';
import { FakeTarget } from './fake-target';

export class TargetServer {
  readonly target: FakeTarget;
  readonly #server: ChangeSetServer;
  url = '';

  constructor(options: { readonly volumeBytes: number; readonly tls?: TlsOptions; readonly onApplied?: ConstructorParameters<typeof FakeTarget>[0]['onApplied'] }) {
    this.target = new FakeTarget({ volumeBytes: options.volumeBytes, ...(options.onApplied ? { onApplied: options.onApplied } : {}) });
    this.target.immediate = true;
    this.#server = new ChangeSetServer({
      handler: {
        store: async ({ pairId, epoch, sequence, body }) => (await this.target.put([new Uint8Array(body)], { pairId, epoch, sequence })) as StoreOutcome,
        position: async ({ pairId }) => (await this.target.position(pairId)) as PositionOutcome,
        compare: async ({ question, ...about }) => (await this.target.compare(question, about)) as CompareOutcome,
      },
      authorize: allowEveryone,
      ...(options.tls ? { tls: options.tls } : {}),
    });
  }

  async listen(): Promise<string> {
    this.url = (await this.#server.listen({ host: '127.0.0.1', port: 0 })).url;
    return this.url;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
