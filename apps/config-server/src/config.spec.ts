// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { readConfig, readInitConfig } from './config';
import { parseConfig } from './parse-config';

const schema = z.object({ PORT: z.coerce.number().int(), DATABASE_URL: z.string(), NAME: z.string().default('x') });

describe('configuration', () => {
  it('is frozen and has its defaults; an empty variable is a missing one', () => {
    const config = parseConfig(schema, { PORT: '1', DATABASE_URL: 'postgres://x', NAME: '' });
    expect(config).toEqual({ PORT: 1, DATABASE_URL: 'postgres://x', NAME: 'x' });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names every variable at fault at once, never a value', () => {
    const read = (): unknown => parseConfig(schema, { PORT: 'hunter2' });
    expect(read).toThrow(/PORT: .*DATABASE_URL: is missing/);
    expect(read).not.toThrow(/hunter2/);
  });
});

describe('the configuration of the configuration server', () => {
  const environment = { SECONDSITE_DATA_DIR: '/data', DATABASE_URL: 'postgres://x', NATS_URL: 'tls://a:1, tls://b:2' };

  it('has defaults, lists and addresses', () => {
    expect(readConfig({ ...environment, SECONDSITE_LISTEN: '[::1]:8443' })).toMatchObject({
      natsUrls: ['tls://a:1', 'tls://b:2'], componentNatsUrls: ['tls://a:1', 'tls://b:2'], listen: { host: '[::1]', port: 8443 }, tenantId: 'default',
      insecure: false, certificateNames: [], certificateSeconds: 30 * 86_400, stallSeconds: 30,
    });
  });

  it('needs neither database nor bus for init', () => {
    expect(readInitConfig({ SECONDSITE_DATA_DIR: '/data' })).toMatchObject({ dataDir: '/data' });
    expect(() => readConfig({ SECONDSITE_LISTEN: 'x' })).toThrow(/SECONDSITE_DATA_DIR: is missing.*DATABASE_URL: is missing.*NATS_URL: is missing.*SECONDSITE_LISTEN: must be host:port/);
  });
});
