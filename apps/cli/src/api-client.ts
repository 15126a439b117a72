// SPDX-License-Identifier: Apache-2.0
// REST client of the configuration server, typed by the route definitions of the contracts.
import { request as httpsRequest } from 'node:https';
import { problemSchema, type Problem, type RouteBodyInput, type RouteDefinition, type RouteQueryInput, type RouteResponse } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';

export interface ApiEndpoint {
  readonly url: string;
  /** PEM of the only certificate authority that is trusted. */
  readonly ca: string;
  readonly adminToken: string;
}

export interface CallOptions<Definition extends RouteDefinition> {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: RouteQueryInput<Definition>;
  readonly body?: RouteBodyInput<Definition>;
  readonly timeLimitSeconds?: number;
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** A refused request, with what the server said about it. */
export class ApiProblem extends OperationError {
  readonly problem: Problem;

  constructor(problem: Problem, operation: string) {
    super({ code: problem.code, operation, retryable: problem.retryable, hint: problem.hint, cause: new Error(problem.detail) });
    this.problem = problem;
  }
}

export class ApiClient {
  readonly #endpoint: ApiEndpoint;

  constructor(endpoint: ApiEndpoint) {
    this.#endpoint = endpoint;
  }

  /** Calls one operation. Throws ApiProblem when it is refused, OperationError `cli/unreachable` when nobody answers. */
  async call<Definition extends RouteDefinition>(route: Definition, options: CallOptions<Definition> = {}): Promise<RouteResponse<Definition>> {
    const answer = await this.#send(route, options);
    if (answer.status === 204) return undefined as RouteResponse<Definition>;
    const body: unknown = parseJson(answer.text);
    if (answer.status !== route.status) throw this.#problemOf(route, answer, body);
    return (route.response ? route.response.parse(body) : body) as RouteResponse<Definition>;
  }

  #send<Definition extends RouteDefinition>(route: Definition, options: CallOptions<Definition>): Promise<RawAnswer> {
    const url = targetUrl(this.#endpoint.url, route, options);
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = { authorization: `Bearer ${this.#endpoint.adminToken}`, ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }) };
    const timeout = (options.timeLimitSeconds ?? 90) * 1000;
    return new Promise((resolve, reject) => {
      const request = httpsRequest(url, { method: route.method, ca: this.#endpoint.ca, headers, timeout }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${timeout / 1000} s`)));
      request.on('error', (cause) => reject(unreachable(this.#endpoint.url, cause)));
      request.end(payload);
    });
  }

  #problemOf(route: RouteDefinition, answer: RawAnswer, body: unknown): OperationError {
    const problem = problemSchema.safeParse(body);
    if (problem.success) return new ApiProblem(problem.data, route.operationId);
    const hint = 'Check that the address is a Secondsite configuration server of this version.';
    return new OperationError({ code: 'cli/unexpected-answer', operation: route.operationId, context: { status: answer.status }, retryable: false, hint });
  }
}

function targetUrl<Definition extends RouteDefinition>(base: string, route: Definition, options: CallOptions<Definition>): URL {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(options.path?.[name] ?? ''));
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return { notJson: String(cause) };
  }
}

function unreachable(url: string, cause: Error): OperationError {
  return new OperationError({
    code: 'cli/unreachable', operation: 'call the configuration server', context: { url }, retryable: true, cause,
    hint: `Nothing answers at ${url}; is it running? A local cluster is started with "secondsite up".`,
  });
}
