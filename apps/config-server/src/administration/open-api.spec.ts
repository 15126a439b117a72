// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { restRoutes } from '@secondsite/contracts';
import { handledRoutes } from '@secondsite/service-kit';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { restControllers } from '../controllers';
import { openApiDocument } from './open-api';

const file = join(__dirname, '..', '..', 'openapi.json');

describe('the OpenAPI document', () => {
  it('that is committed is current (UPDATE_OPENAPI=1 writes it anew)', () => {
    const current = `${JSON.stringify(openApiDocument(), null, 2)}\n`;
    if (process.env.UPDATE_OPENAPI === '1') writeFileSync(file, current);
    expect(readFileSync(file, 'utf8')).toBe(current);
  });

  it('describes exactly the routes that controllers handle', () => {
    const handled = restControllers.flatMap((controller) => handledRoutes(controller)).map((route) => route.operationId);
    expect(handled.sort()).toEqual(Object.keys(restRoutes).sort());
    for (const [name, route] of Object.entries(restRoutes)) expect(route.operationId).toBe(name);
  });

  it('resolves every reference inside itself', () => {
    const text = JSON.stringify(openApiDocument());
    const names = Object.keys((openApiDocument().components as { schemas: object }).schemas);
    const references = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]);
    expect(references.length).toBeGreaterThan(20);
    expect(references.filter((reference) => !names.includes(reference?.replace('#/components/schemas/', '') ?? ''))).toEqual([]);
  });
});
