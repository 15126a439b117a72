// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { suitable } from './congestion';

describe('the congestion control that suits a connection', () => {
  it('is not BBR on the machine itself, however long the handshake took', () => {
    for (const remoteAddress of ['127.0.0.1', '127.3.0.1', '::1', '::ffff:127.0.0.1']) {
      expect(suitable({ remoteAddress, handshakeMillis: 200 })).toEqual(['cubic', 'reno']);
    }
  });

  it('is BBR to another site', () => {
    expect(suitable({ remoteAddress: '192.0.2.7', handshakeMillis: 80 })).toEqual(['bbr']);
    expect(suitable({ remoteAddress: '2001:db8::1', handshakeMillis: 80 })).toEqual(['bbr']);
  });

  it('is what the system chooses in the same room', () => {
    expect(suitable({ remoteAddress: '10.0.0.1', handshakeMillis: 0.3 })).toEqual([]);
  });
});
