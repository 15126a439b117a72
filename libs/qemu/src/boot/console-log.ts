// SPDX-License-Identifier: Apache-2.0
import type { TimeMicros } from '@secondsite/units';
import { hostTimeMicros } from '../host-tools/host-time';
import { timeLimitError } from '../host-tools/wait-until';

export interface ConsoleLine {
  /** The line without its end. */
  readonly text: string;
  /** When its last byte reached this process, by the host's clock. */
  readonly receivedMicros: TimeMicros;
}

const linesKeptMax = 100_000;

/** The guest's serial console as lines with their times; the newest 100,000 are kept. */
export class ConsoleLog {
  private partial = '';
  private readonly kept: ConsoleLine[] = [];
  private readonly listeners = new Set<(line: ConsoleLine) => void>();
  private readonly endListeners = new Set<() => void>();
  private ended = false;

  /** Bytes from the console, as they come. */
  append(chunk: string): void {
    const receivedMicros = hostTimeMicros();
    const parts = (this.partial + chunk).split('\n');
    this.partial = parts.pop() ?? '';
    for (const part of parts) this.add({ text: part.replaceAll('\r', ''), receivedMicros });
  }

  /** No more will come: an unfinished last line counts, and whoever waits is told. */
  end(): void {
    if (this.partial !== '') this.append('\n');
    this.ended = true;
    for (const listener of [...this.endListeners]) listener();
  }

  /** The kept lines, oldest first; a copy. */
  lines(): ConsoleLine[] {
    return [...this.kept];
  }

  /** Calls the listener for each line from now on; returns the function that ends it. */
  onLine(listener: (line: ConsoleLine) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * The first line that matches, among those kept or to come, received at `sinceMicros` or later. Fails with `qemu/time-limit`, with the
   * newest lines as context, also at once when the console has ended.
   */
  waitForLine(pattern: RegExp, timeLimitMillis: number, options: { sinceMicros?: TimeMicros } = {}): Promise<ConsoleLine> {
    const sinceMicros = options.sinceMicros ?? 0;
    const known = this.kept.find((line) => line.receivedMicros >= sinceMicros && pattern.test(line.text));
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        endListening();
        this.endListeners.delete(fail);
      };
      const fail = (): void => {
        finish();
        reject(this.missingLine(pattern, timeLimitMillis));
      };
      const endListening = this.onLine((line) => {
        if (!pattern.test(line.text)) return;
        finish();
        resolve(line);
      });
      const timer = setTimeout(fail, timeLimitMillis);
      this.endListeners.add(fail);
      if (this.ended) fail();
    });
  }

  private add(line: ConsoleLine): void {
    this.kept.push(line);
    if (this.kept.length > linesKeptMax * 1.1) this.kept.splice(0, this.kept.length - linesKeptMax);
    for (const listener of [...this.listeners]) listener(line);
  }

  private missingLine(pattern: RegExp, timeLimitMillis: number): Error {
    const newest = this.kept.slice(-5).map((line) => line.text).join(' | ');
    const state = this.ended ? 'the guest has ended' : 'the guest still runs';
    const hint = `${state}; the newest console lines are: ${newest || '(none)'}`;
    return timeLimitError({ operation: `wait for the console line ${pattern.source}`, timeLimitMillis, hint });
  }
}
