// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { Parser } from '@asyncapi/parser';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildAsyncApiDocument } from './build-async-api-document';

const severityError = 0;
/** `UPDATE_GENERATED=1 jest libs/contracts` writes the document anew. */
const file = join(__dirname, '../../asyncapi.json');

describe('asyncapi.json', () => {
  it('is what the registered schemas say now', () => {
    const text = `${JSON.stringify(buildAsyncApiDocument(), null, 2)}\n`;
    if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(file, text);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('is a valid AsyncAPI 3 document', async () => {
    const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
    expect(diagnostics.filter((diagnostic) => Number(diagnostic.severity) === severityError).map(({ message, path }) => ({ message, path }))).toEqual([]);
    expect(document?.version()).toBe('3.0.0');
  });
});
