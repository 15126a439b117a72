// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readConfig } from './config';

describe('configuration of the process server', () => {
  it('has a default for everything but the data folder', () => {
    const config = readConfig({ SECONDSITE_DATA_DIR: '/data' });
    expect(config).toMatchObject({ dataDir: '/data', listen: { host: '127.0.0.1', port: 0 }, insecure: undefined, enrolment: undefined });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names every fault at once, and never a value', () => {
    const read = () => readConfig({ SECONDSITE_LISTEN: 'secret', SECONDSITE_FREE_BYTES_MIN: '-7', LOG_LEVEL: 'loud' });
    expect(read).toThrow(/SECONDSITE_DATA_DIR.*SECONDSITE_LISTEN.*SECONDSITE_FREE_BYTES_MIN.*LOG_LEVEL/);
    expect(read).not.toThrow(/secret|loud|-7/);
  });

  it('takes names and bus from the environment only without security', () => {
    const config = readConfig({ SECONDSITE_DATA_DIR: '/data', SECONDSITE_INSECURE: '1', NATS_URL: 'a:1, b:2', SECONDSITE_COMPONENT_ID: 'ps1' });
    expect(config).toMatchObject({ componentName: 'ps1', insecure: { tenantId: 'default', natsUrls: ['a:1', 'b:2'] } });
  });
});
