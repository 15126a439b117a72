// SPDX-License-Identifier: Apache-2.0
import type { RouteDefinition } from '@secondsite/contracts';
import { request } from 'node:https';

export interface RestAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
}

export interface RestCall {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly token?: string;
  readonly traceparent?: string;
}

/** Calls the configuration server over TLS, as the command line does. */
export class RestClient {
  constructor(private readonly options: { readonly url: string; readonly caPem: string; readonly adminToken: string; readonly client?: { readonly cert: string; readonly key: string } }) {}

  async call(route: RouteDefinition, { params = {}, query = {}, body, token = this.options.adminToken, traceparent }: RestCall = {}): Promise<RestAnswer> {
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(params[name] ?? ''));
    const url = new URL(`${path}?${new URLSearchParams(query).toString()}`, this.options.url);
    const { promise, resolve, reject } = Promise.withResolvers<RestAnswer>();
    const traceHeader = traceparent === undefined ? {} : { traceparent };
    const { caPem: ca, client } = this.options;
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...traceHeader };
    const sent = request(url, { method: route.method, ca, ...client, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '', body: text === '' ? undefined : JSON.parse(text) });
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }

  /** The body of an answer that must be a success. */
  async ok<Body>(route: RouteDefinition, call: RestCall = {}): Promise<Body> {
    const answer = await this.call(route, call);
    if (answer.status !== route.status) throw new Error(`${route.operationId} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body as Body;
  }
}
