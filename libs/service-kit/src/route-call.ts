// SPDX-License-Identifier: Apache-2.0
import { type PeerIdentity, verifiedPeer } from '@secondsite/certificates';
import { type RouteBody, type RouteDefinition, type RouteQuery, traceparentSchema } from '@secondsite/contracts';
import type { Request } from 'express';
import type { z } from 'zod';
import { RefusedRequest } from './refused-request';

/** What a handler gets: the request after validation, and who sent it. */
export interface RouteCall<Definition extends RouteDefinition> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: RouteQuery<Definition>;
  readonly body: RouteBody<Definition>;
  readonly remoteAddress: string;
  /** Who the client's certificate names; only of routes with access `component`. */
  readonly peer: PeerIdentity | undefined;
  /** W3C trace context that the caller sent; one that cannot be read is left out. */
  readonly traceparent: string | undefined;
}

/** Validates a request against its route. Throws RefusedRequest `request/invalid` that names every fault at once, never a value. */
export function routeCall<Definition extends RouteDefinition>(route: Definition, request: Request): RouteCall<Definition> {
  const faults: { path: string; reason: string }[] = [];
  const query = checked(route.query, { value: request.query, where: 'query', faults });
  const body = checked(route.body, { value: request.body, where: 'body', faults });
  if (faults.length > 0) {
    const detail = faults.map((fault) => `${fault.path}: ${fault.reason}`).join('; ');
    throw new RefusedRequest({ status: 400, code: 'request/invalid', detail, hint: 'Correct the fields named.', faults });
  }
  return {
    params: Object.fromEntries(Object.entries(request.params).map(([name, value]) => [name, String(value)])),
    query: query as RouteQuery<Definition>,
    body: body as RouteBody<Definition>,
    remoteAddress: request.socket.remoteAddress ?? 'unknown',
    peer: route.access === 'component' ? verifiedPeer(request.socket) : undefined,
    traceparent: traceparentSchema.safeParse(request.headers.traceparent).data,
  };
}

interface Part {
  readonly value: unknown;
  readonly where: string;
  readonly faults: { path: string; reason: string }[];
}

function checked(schema: z.ZodType | undefined, { value, where, faults }: Part): unknown {
  if (!schema) return undefined;
  const result = schema.safeParse(value ?? {}, { reportInput: false });
  if (result.success) return result.data;
  for (const issue of result.error.issues) faults.push({ path: [where, ...issue.path].join('.'), reason: issue.message });
  return undefined;
}
