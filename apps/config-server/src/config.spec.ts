// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readConfig, readInitConfig } from './config';

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
