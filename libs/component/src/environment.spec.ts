// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { parseEnvironment } from './environment';

const schema = z.object({ PORT: z.coerce.number().int(), DATABASE_URL: z.string(), NAME: z.string().default('x') });

describe('the environment', () => {
  it('is frozen and has its defaults; an empty variable is a missing one', () => {
    const config = parseEnvironment(schema, { PORT: '1', DATABASE_URL: 'postgres://x', NAME: '' });
    expect(config).toEqual({ PORT: 1, DATABASE_URL: 'postgres://x', NAME: 'x' });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names every variable at fault at once, never a value', () => {
    const read = (): unknown => parseEnvironment(schema, { PORT: 'hunter2' });
    expect(read).toThrow(/PORT: .*DATABASE_URL: is missing/);
    expect(read).not.toThrow(/hunter2/);
  });
});
