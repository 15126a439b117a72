// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { cloudEventSchema } from '../cloud-event';
import type { EventDefinition } from '../define-event';
import { desiredStateSchemas } from '../desired-state';
import { eventDefinitions } from '../event-registry';
import { type Operation, operations } from '../requests';
import { problemSchema } from '../rest/problem';
import { telemetrySchema } from '../telemetry';

type Json = Record<string, unknown>;
type Fragment = { readonly channels: Json; readonly operations: Json; readonly messages: Json };

const subjectParts = { tenant: 'Id of the tenant.', aggregateId: 'Id of the aggregate.', role: 'Role of the component.', componentId: 'Id of the component.' };

/** The AsyncAPI 3 document of everything that travels on the bus, made from the registered schemas; the same input gives the same bytes. */
export function buildAsyncApiDocument(): Json {
  const fragments = [...eventDefinitions.map(eventFragment), telemetryFragment(), ...desiredStateFragments(), ...operations.map(requestFragment)];
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Secondsite control plane', version: '1.0.0', license: { name: 'Apache-2.0' },
      description: 'Facts, telemetry, desired state and requests on NATS JetStream. Block content never travels here.',
    },
    defaultContentType: 'application/json',
    channels: merged(fragments.map((fragment) => fragment.channels)),
    operations: merged(fragments.map((fragment) => fragment.operations)),
    components: { messages: merged(fragments.map((fragment) => fragment.messages)) },
  };
}

function merged(parts: readonly Json[]): Json {
  return Object.fromEntries(parts.flatMap((part) => Object.entries(part)));
}

function schemaOf(schema: z.ZodType): Json {
  const made = { ...z.toJSONSchema(schema, { target: 'draft-7', io: 'input', reused: 'inline', cycles: 'throw' }) } as Json;
  delete made['$schema'];
  return withoutDefinitions(made) as Json;
}

/** `meta({ id })` makes zod write definitions; messages carry their schema in full, so references are put in place. */
function withoutDefinitions(schema: Json): unknown {
  const definitions = (schema['definitions'] ?? {}) as Record<string, unknown>;
  const inline = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(inline);
    if (node === null || typeof node !== 'object') return node;
    const reference = (node as Json)['$ref'];
    if (typeof reference === 'string') return inline(definitions[reference.replace('#/definitions/', '')]);
    return Object.fromEntries(Object.entries(node).filter(([key]) => key !== 'definitions' && key !== 'id').map(([key, value]) => [key, inline(value)]));
  };
  return inline(schema);
}

function parametersOf(address: string): Json {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as keyof typeof subjectParts);
  return Object.fromEntries(names.map((name) => [name, { description: subjectParts[name] }]));
}

function channel(address: string, messages: readonly string[]): Json {
  const parameters = parametersOf(address);
  return {
    address,
    messages: Object.fromEntries(messages.map((name) => [name, { $ref: `#/components/messages/${name}` }])),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
}

function messageReference(name: string, message: string): Json {
  return { $ref: `#/channels/${name}/messages/${message}` };
}

function sendFragment(options: { name: string; address: string; summary: string; payload: Json }): Fragment {
  const { name, address, summary, payload } = options;
  return {
    channels: { [name]: channel(address, [name]) },
    operations: { [`publish-${name}`]: { action: 'send', channel: { $ref: `#/channels/${name}` }, summary, messages: [messageReference(name, name)] } },
    messages: { [name]: { name, summary, payload } },
  };
}

function eventFragment(definition: EventDefinition): Fragment {
  const name = `${definition.context}-${definition.fact}-v${definition.version}`;
  const envelope = schemaOf(cloudEventSchema);
  const properties = { ...(envelope['properties'] as Json), type: { const: definition.type }, data: schemaOf(definition.data) };
  const address = `ss.{tenant}.${definition.context}.{aggregateId}.${definition.fact}.v${definition.version}`;
  return sendFragment({ name, address, summary: definition.summary, payload: { ...envelope, properties } });
}

function telemetryFragment(): Fragment {
  const summary = 'State of one component, once per second, kept for 60 s.';
  return sendFragment({ name: 'telemetry', address: 'sst.{tenant}.{role}.{componentId}', summary, payload: schemaOf(telemetrySchema) });
}

function desiredStateFragments(): Fragment[] {
  return Object.entries(desiredStateSchemas).map(([role, schema]) => {
    const summary = `What a component of role ${role} should be doing; the newest value counts.`;
    return sendFragment({ name: `desired-state-${role}`, address: `$KV.desired-state.${role}.{componentId}`, summary, payload: schemaOf(schema) });
  });
}

function requestFragment(operation: Operation): Fragment {
  const name = `${operation.role}-${operation.name}`;
  const names = { request: `${name}-request`, reply: `${name}-reply`, problem: `${name}-problem` };
  const replyChannel = `${name}-replies`;
  const address = `ssr.{tenant}.${operation.role}.{componentId}.${operation.name}`;
  return {
    channels: {
      [name]: channel(address, [names.request]),
      [replyChannel]: { ...channel('', [names.reply, names.problem]), address: null },
    },
    operations: {
      [`request-${name}`]: {
        action: 'send', channel: { $ref: `#/channels/${name}` }, summary: operation.summary, messages: [messageReference(name, names.request)],
        reply: { channel: { $ref: `#/channels/${replyChannel}` }, messages: [messageReference(replyChannel, names.reply), messageReference(replyChannel, names.problem)] },
      },
    },
    messages: {
      [names.request]: { name: names.request, summary: operation.summary, payload: schemaOf(operation.request) },
      [names.reply]: { name: names.reply, summary: 'The answer.', payload: schemaOf(operation.reply) },
      [names.problem]: { name: names.problem, summary: 'Why it failed; the header Ss-Problem is 1.', payload: schemaOf(problemSchema) },
    },
  };
}
