// SPDX-License-Identifier: Apache-2.0
import { problemSchema, type RouteDefinition } from '@secondsite/contracts';
import { z } from 'zod';

type Json = Record<string, unknown>;

export interface OpenApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

/** OpenAPI 3.1 document of the routes; schemas come from zod, named ones (`meta({ id })`) become components. */
export function buildOpenApi(routes: readonly RouteDefinition[], info: OpenApiInfo): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = operation(route, schemas);
  }
  schemaOf(problemSchema, { io: 'output', schemas });
  return {
    openapi: '3.1.0',
    info,
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([left], [right]) => (left < right ? -1 : 1))),
      securitySchemes: { adminToken: { type: 'http', scheme: 'bearer' }, clientCertificate: { type: 'mutualTLS' } },
    },
  };
}

const security = { public: [], admin: [{ adminToken: [] }], component: [{ clientCertificate: [] }] } as const;

function operation(route: RouteDefinition, schemas: Json): Json {
  const { operationId, summary, tag, access, status } = route;
  const answer = route.response ? { content: { 'application/json': { schema: schemaOf(route.response, { io: 'output', schemas }) } } } : {};
  return {
    operationId, summary, tags: [tag], security: security[access],
    parameters: [...pathParameters(route), ...queryParameters(route, schemas)],
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(route.body, { io: 'input', schemas }) } } } } : {}),
    responses: {
      [String(status)]: { description: status === 204 ? 'Done.' : 'The answer.', ...answer },
      default: { description: 'What went wrong.', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
    },
  };
}

function pathParameters(route: RouteDefinition): Json[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
}

function queryParameters(route: RouteDefinition, schemas: Json): Json[] {
  if (!route.query) return [];
  const { properties = {}, required = [] } = schemaOf(route.query, { io: 'input', schemas }) as { properties?: Json; required?: string[] };
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }));
}

/** JSON schema of a zod schema; its named parts move to `schemas`. */
function schemaOf(schema: z.ZodType, { io, schemas }: { readonly io: 'input' | 'output'; readonly schemas: Json }): Json {
  const { $schema: _dialect, $defs = {}, ...json } = z.toJSONSchema(schema, { target: 'draft-2020-12', io, unrepresentable: 'any' }) as Json & { $defs?: Json };
  for (const [name, definition] of Object.entries($defs)) schemas[name] = named(definition);
  const { id, ...rest } = named(json) as Json & { id?: string };
  if (typeof id !== 'string') return named(json) as Json;
  schemas[id] = rest;
  return { $ref: `#/components/schemas/${id}` };
}

/** The same JSON with references that point into the document's components. */
function named(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(named);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) =>
      key === '$ref' && typeof value === 'string' ? [key, value.replace('#/$defs/', '#/components/schemas/')] : [key, named(value)],
    ),
  );
}
