// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readConfig } from '../config';
import { coldStoreConfig } from './cold-config';

const environment = { SECONDSITE_DATA_DIR: '/data', SECONDSITE_INSECURE: '1' };

describe('the configuration of a cold store', () => {
  it('is absent without a bucket, and needs no more than a bucket', () => {
    expect(readConfig(environment).cold).toBeUndefined();
    expect(readConfig({ ...environment, SECONDSITE_COLD_BUCKET: 'undo' }).cold).toMatchObject({
      bucket: 'undo', endpoint: undefined, prefix: 'secondsite', policy: { afterMicros: 86_400e6, aboveShare: 0.5 },
    });
  });

  it('gives each tenant and each master target a folder of its own', () => {
    const cold = readConfig({ ...environment, SECONDSITE_COLD_BUCKET: 'undo', SECONDSITE_COLD_PREFIX: 'dr/site-2' }).cold;
    if (!cold) throw new Error('it is not configured');
    expect(coldStoreConfig(cold, { tenantId: 'acme', componentId: 'mt-1' })).toMatchObject({ root: 'dr/site-2/acme', folder: 'mt-1' });
  });

  it('names every variable at fault', () => {
    const faulty = { SECONDSITE_COLD_BUCKET: 'u', SECONDSITE_COLD_ENDPOINT: 'minio:9000', SECONDSITE_COLD_PREFIX: '/a/', SECONDSITE_COLD_ABOVE_SHARE: '2' };
    expect(() => readConfig({ ...environment, ...faulty })).toThrow(expect.objectContaining({ code: 'config/invalid', hint: expect.stringMatching(/BUCKET.*ENDPOINT.*PREFIX.*SHARE/) }));
  });
});
