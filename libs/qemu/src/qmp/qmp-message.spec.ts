// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseQmpMessage } from './qmp-message';

describe('QMP messages', () => {
  it('tell greetings, answers, errors and events apart', () => {
    expect(parseQmpMessage('{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":["oob"]}}')).toEqual({
      kind: 'greeting', version: '7.2.22', capabilities: ['oob'],
    });
    expect(parseQmpMessage('{"return":[1],"id":4}')).toEqual({ kind: 'return', id: 4, value: [1] });
    expect(parseQmpMessage('{"id":5,"error":{"class":"DeviceNotFound","desc":"no"}}')).toEqual({
      kind: 'error', id: 5, errorClass: 'DeviceNotFound', description: 'no',
    });
  });

  it('carry the time QEMU gave to an event, in microseconds', () => {
    const line = '{"timestamp":{"seconds":1700000000,"microseconds":25},"event":"STOP"}';
    expect(parseQmpMessage(line)).toEqual({ kind: 'event', event: { name: 'STOP', data: {}, timeMicros: 1_700_000_000_000_025 } });
  });

  it('never throw, whatever the line', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void parseQmpMessage(line)));
  });
});
