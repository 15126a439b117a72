// SPDX-License-Identifier: Apache-2.0
/**
 * Events that must reach the bus although it is away now: an append-only file of lines, `+<event as JSON>` and `-<event id>` once published.
 * Invariants: an event is in the file, durably, before `add` returns; a line that was torn by a crash is ignored and overwritten; the file is
 * rewritten without the published ones when most of it is history. Publishing twice is harmless (message ids, idempotent consumers).
 */
import { type CloudEvent, parseEvent } from '@secondsite/contracts';
import { OperationError } from '@secondsite/units';
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface PendingEventsOptions {
  readonly file: string;
  /** Bound on what is kept, in memory and on disk; default 16 MiB. */
  readonly bytesMax?: number;
}

export interface AddOptions {
  /** A newer event of the same type and aggregate replaces one that still waits (for frequent facts of which only the newest matters). */
  readonly replacesOlder?: boolean;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Pending {
  readonly event: CloudEvent;
  readonly line: string;
}

const bytesMaxDefault = 16 * 1024 * 1024;
const compactBytes = 1024 * 1024;

export class PendingEvents {
  private readonly pending = new Map<string, Pending>();
  private readonly replaceable = new Map<string, string>();
  private pendingBytes = 0;
  private lines: string[] = [];
  private waiters: Waiter[] = [];
  private flushing: Promise<void> | undefined;

  private constructor(private readonly file: string, private readonly bytesMax: number, private handle: FileHandle, private sizeBytes: number) {}

  /** Reads what an earlier run left. Throws on a file that cannot be read or written. */
  static async open({ file, bytesMax = bytesMaxDefault }: PendingEventsOptions): Promise<PendingEvents> {
    await mkdir(dirname(file), { recursive: true });
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const handle = await open(file, 'a', 0o600);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    await handle.truncate(Buffer.byteLength(whole));
    const events = new PendingEvents(file, bytesMax, handle, Buffer.byteLength(whole));
    for (const line of whole.split('\n')) events.replay(line);
    return events;
  }

  get size(): number {
    return this.pending.size;
  }

  /** Oldest event that waits. */
  first(): CloudEvent | undefined {
    return this.pending.values().next().value?.event;
  }

  /** Durable when it resolves. Throws OperationError `bus/outbox-full` when the bound is reached. */
  async add(event: CloudEvent, options: AddOptions = {}): Promise<void> {
    const line = `+${JSON.stringify(event)}\n`;
    if (options.replacesOlder) this.dropOlder(event);
    if (this.pendingBytes + line.length > this.bytesMax) throw this.full();
    this.keep(event, line);
    await this.write(line);
  }

  /** Forgets an event that was published. A crash right after may publish it again. */
  async remove(id: string): Promise<void> {
    if (this.forget(id)) await this.write(`-${id}\n`);
  }

  async close(): Promise<void> {
    await this.flushing;
    await this.handle.close();
  }

  private replay(line: string): void {
    if (line.startsWith('-')) this.forget(line.slice(1));
    if (line.startsWith('+')) this.keep(parseEvent(JSON.parse(line.slice(1))), `${line}\n`);
  }

  private keep(event: CloudEvent, line: string): void {
    this.pending.set(event.id, { event, line });
    this.pendingBytes += line.length;
  }

  private forget(id: string): boolean {
    const entry = this.pending.get(id);
    if (!entry) return false;
    this.pendingBytes -= entry.line.length;
    const key = `${entry.event.type} ${entry.event.subject}`;
    if (this.replaceable.get(key) === id) this.replaceable.delete(key);
    return this.pending.delete(id);
  }

  private dropOlder(event: CloudEvent): void {
    const key = `${event.type} ${event.subject}`;
    const older = this.replaceable.get(key);
    if (older !== undefined && this.forget(older)) this.lines.push(`-${older}\n`);
    this.replaceable.set(key, event.id);
  }

  private write(line: string): Promise<void> {
    this.lines.push(line);
    const done = new Promise<void>((resolve, reject) => this.waiters.push({ resolve, reject }));
    this.flushing ??= this.flushAll();
    return done;
  }

  /** One write and one sync for everything that came meanwhile. */
  private async flushAll(): Promise<void> {
    while (this.waiters.length > 0) {
      const lines = this.lines.splice(0).join('');
      const waiters = this.waiters.splice(0);
      try {
        await this.append(lines);
        for (const waiter of waiters) waiter.resolve();
      } catch (error) {
        for (const waiter of waiters) waiter.reject(error);
      }
    }
    this.flushing = undefined;
  }

  private async append(lines: string): Promise<void> {
    await this.handle.appendFile(lines);
    this.sizeBytes += Buffer.byteLength(lines);
    if (this.sizeBytes > compactBytes && this.sizeBytes > 2 * this.pendingBytes) await this.compact();
    else await this.handle.datasync();
  }

  private async compact(): Promise<void> {
    const temporary = `${this.file}.new`;
    const content = [...this.pending.values()].map((entry) => entry.line).join('');
    const fresh = await open(temporary, 'w', 0o600);
    await fresh.writeFile(content);
    await fresh.sync();
    await rename(temporary, this.file);
    await syncFolder(dirname(this.file));
    await this.handle.close();
    await fresh.close();
    this.handle = await open(this.file, 'a', 0o600);
    this.sizeBytes = Buffer.byteLength(content);
  }

  private full(): OperationError {
    return new OperationError({
      code: 'bus/outbox-full', operation: 'keep event until the bus is back', context: { file: this.file, bytesMax: this.bytesMax }, retryable: true,
      hint: 'The bus has been away for long; bring NATS back.',
    });
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
