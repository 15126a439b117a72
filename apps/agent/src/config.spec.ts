// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { readConfig } from './config';

describe('configuration of the agent', () => {
  it('has a default for everything but the data folder', () => {
    expect(readConfig({ SECONDSITE_DATA_DIR: '/data' })).toMatchObject({ dataDir: '/data', bufferBytesMax: 250_000_000, insecure: undefined, enrolment: undefined });
  });

  it('names every fault at once, and no value', () => {
    const read = () => readConfig({ SECONDSITE_BUFFER_BYTES_MAX: 'secret-1', SECONDSITE_INSECURE: 'secret-2', LOG_LEVEL: 'secret-3' });
    expect(read).toThrow(/SECONDSITE_DATA_DIR.*SECONDSITE_INSECURE.*SECONDSITE_BUFFER_BYTES_MAX.*LOG_LEVEL/);
    expect(read).not.toThrow(/secret/);
  });
});
