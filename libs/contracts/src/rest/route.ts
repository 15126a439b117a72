// SPDX-License-Identifier: Apache-2.0
import type { z } from 'zod';

/** Who may call: anybody, the bearer of the admin token, or a component with its certificate. */
export type RouteAccess = 'public' | 'admin' | 'component';

/**
 * One REST operation of the configuration server: the single source of its handler's validation, of the OpenAPI document and of
 * clients. Path parameters are written `{name}`; every failure is answered with `application/problem+json` (`Problem`).
 */
export interface RouteDefinition {
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: `/v1/${string}`;
  readonly summary: string;
  readonly tag: string;
  readonly access: RouteAccess;
  readonly status: 200 | 201 | 204;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  readonly response?: z.ZodType;
}

/** Keeps the literal types of a definition. */
export function defineRoute<const Definition extends RouteDefinition>(definition: Definition): Definition {
  return definition;
}

type Part<Definition, Name extends 'query' | 'body' | 'response'> = Definition extends { readonly [K in Name]: infer Schema extends z.ZodType } ? Schema : never;

/** What a client sends (defaults may be left out). */
export type RouteBodyInput<Definition extends RouteDefinition> = z.input<Part<Definition, 'body'>>;
export type RouteQueryInput<Definition extends RouteDefinition> = z.input<Part<Definition, 'query'>>;
/** What the handler receives after validation. */
export type RouteBody<Definition extends RouteDefinition> = z.output<Part<Definition, 'body'>>;
export type RouteQuery<Definition extends RouteDefinition> = z.output<Part<Definition, 'query'>>;
export type RouteResponse<Definition extends RouteDefinition> = z.output<Part<Definition, 'response'>>;
