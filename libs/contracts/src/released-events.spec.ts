// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { eventDefinitions, findEventDefinition, parseEvent, readEvent, upcasters } from './index';

/** `UPDATE_GENERATED=1 jest libs/contracts` adds the schema of a new event version to its golden file; it never rewrites an old one. */
const folder = join(__dirname, 'testing/golden/events');

interface Golden {
  sample: { type: string };
  schema?: unknown;
}

function readGolden(type: string): Golden {
  return JSON.parse(readFileSync(join(folder, `${type}.json`), 'utf8')) as Golden;
}

describe('released events', () => {
  it('has a golden file for each released version, and a released version for each golden file', () => {
    const files = readdirSync(folder).map((name) => name.replace(/\.json$/, ''));
    expect(files.sort()).toEqual(eventDefinitions.map((definition) => definition.type).sort());
  });

  it.each(eventDefinitions.map((definition) => definition.type))('%s keeps its schema and reads its golden sample', (type) => {
    const golden = readGolden(type);
    const schema = z.toJSONSchema(findEventDefinition(type)?.data as z.ZodType, { io: 'input' });
    if (golden.schema === undefined && process.env['UPDATE_GENERATED'] === '1') {
      golden.schema = schema;
      writeFileSync(join(folder, `${type}.json`), `${JSON.stringify(golden, null, 2)}\n`);
    }
    expect(JSON.parse(JSON.stringify(schema))).toEqual(golden.schema);
    expect(parseEvent(golden.sample)).toEqual(golden.sample);
    expect(findEventDefinition(readEvent(golden.sample).type)).toBeDefined();
  });

  it('brings every version of a fact to its newest version', () => {
    for (const definition of eventDefinitions) {
      const newest = Math.max(...eventDefinitions.filter((other) => other.context === definition.context && other.fact === definition.fact).map((other) => other.version));
      expect(readEvent(readGolden(definition.type).sample).type).toBe(`secondsite.${definition.context}.${definition.fact}.v${newest}`);
    }
    for (const { from, to } of upcasters) expect(Number(to.split('.v')[1])).toBe(Number(from.split('.v')[1]) + 1);
  });

  it('computes the covered time of an old change-set-applied from its RPO', () => {
    const { sample } = readGolden('secondsite.replication.change-set-applied.v1');
    const event = readEvent({ ...sample, time: '2026-11-21T22:50:33.500001Z' });
    expect(event.data).toEqual({
      pairId: '5b1c7a52-3a52-4a2e-9a41-0d4b6f0e9c11', epoch: 0, sequence: 42,
      coveredTime: '2026-11-21T22:50:32.760001Z', appliedAt: '2026-11-21T22:50:33.500001Z',
    });
  });
});
