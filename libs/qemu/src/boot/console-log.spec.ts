// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from '@jest/globals';
import { ConsoleLog } from './console-log';

describe('the console log', () => {
  it('joins chunks to lines and drops carriage returns', () => {
    const log = new ConsoleLog();
    for (const chunk of ['AC', 'K 1\r', '\nACK 2\r\nrest']) log.append(chunk);
    expect(log.lines().map((line) => line.text)).toEqual(['ACK 1', 'ACK 2']);
  });

  it('stamps a line when its last byte came', () => {
    const log = new ConsoleLog();
    const beforeMicros = (Date.now() - 3) * 1000;
    log.append('x\n');
    const micros = log.lines()[0]?.receivedMicros ?? 0;
    expect(micros).toBeGreaterThan(beforeMicros);
    expect(micros).toBeLessThan((Date.now() + 3) * 1000);
  });

  it('finds lines that came before the wait and after it', async () => {
    const log = new ConsoleLog();
    log.append('READY\n');
    await expect(log.waitForLine(/READY/, 1)).resolves.toMatchObject({ text: 'READY' });
    const later = log.waitForLine(/LATER/, 1000);
    log.append('LATER\n');
    await expect(later).resolves.toMatchObject({ text: 'LATER' });
  });

  it('tells waiters at once when the console ends, with the newest lines', async () => {
    const log = new ConsoleLog();
    const waiting = log.waitForLine(/NEVER/, 60_000);
    log.append('panic');
    log.end();
    await expect(waiting).rejects.toMatchObject({ code: 'qemu/time-limit', hint: expect.stringContaining('panic') });
  });
});
