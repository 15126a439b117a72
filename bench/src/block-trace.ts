// SPDX-License-Identifier: Apache-2.0
// Block traces as blkreplay keeps them: a text of one request per line, `start ; sector ; length ; op ; …`, times in seconds, sectors of 512 bytes,
// R or W; whatever stands before the first such line is a header. Compressed when the name ends in .gz.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import type { NbdClient } from '@secondsite/nbd';

export interface TraceRequest {
  /** Since the trace began. */
  readonly seconds: number;
  readonly offset: number;
  readonly length: number;
  readonly write: boolean;
}

const sectorBytes = 512;
const requestLine = /^\s*(\d+\.\d+)\s*;\s*(\d+)\s*;\s*(\d+)\s*;\s*([RW])\s*;/;

/** The request of a line; undefined for what is none. */
export function traceRequestOf(line: string): TraceRequest | undefined {
  const [, seconds, sector, sectors, op] = requestLine.exec(line) ?? [];
  if (seconds === undefined) return undefined;
  return { seconds: Number(seconds), offset: Number(sector) * sectorBytes, length: Number(sectors) * sectorBytes, write: op === 'W' };
}

/** All requests of a trace file, in its order. */
export async function readTrace(path: string): Promise<TraceRequest[]> {
  const file = createReadStream(path);
  const lines = createInterface({ input: path.endsWith('.gz') ? file.pipe(createGunzip()) : file });
  const requests: TraceRequest[] = [];
  for await (const line of lines) {
    const request = traceRequestOf(line);
    if (request && request.length > 0) requests.push(request);
  }
  if (requests.length === 0) throw new Error(`${path} has no request in the format of blkreplay`);
  return requests;
}

export function traceDiskBytes(trace: readonly TraceRequest[]): number {
  return trace.reduce((end, { offset, length }) => Math.max(end, offset + length), 0);
}

/**
 * Sends each request when its time has come, whether or not earlier ones were answered, and resolves with the milliseconds that the slowest one took
 * from being sent to its answer. Written content is random.
 */
export async function replayTrace(trace: readonly TraceRequest[], client: NbdClient, { speed }: { readonly speed: number }): Promise<{ readonly slowestMillis: number }> {
  const lengthMax = trace.reduce((most, { length }) => Math.max(most, length), 0);
  const content = randomBytes(2 * lengthMax);
  const pending = new Set<Promise<void>>();
  let slowestMillis = 0;
  const send = async ({ offset, length, write }: TraceRequest, index: number): Promise<void> => {
    const sent = performance.now();
    if (write) await client.write(offset, content.subarray((index * sectorBytes) % lengthMax).subarray(0, length));
    else await client.read(offset, new Uint8Array(length));
    slowestMillis = Math.max(slowestMillis, performance.now() - sent);
  };
  const started = performance.now();
  for (const [index, request] of trace.entries()) {
    const due = started + (request.seconds * 1000) / speed;
    for (let wait = due - performance.now(); wait > 0; wait = due - performance.now()) await delay(wait);
    const answered = send(request, index).finally(() => pending.delete(answered));
    pending.add(answered);
  }
  await Promise.all(pending);
  return { slowestMillis };
}

/** Writes everything that the trace writes, as fast as it goes: afterwards each block of it is there. */
export async function prepareDisk(trace: readonly TraceRequest[], client: NbdClient): Promise<void> {
  const requestsAtOnce = 16;
  const writes = trace.filter(({ write }) => write);
  for (let first = 0; first < writes.length; first += requestsAtOnce) {
    await Promise.all(writes.slice(first, first + requestsAtOnce).map(({ offset, length }) => client.write(offset, randomBytes(length))));
  }
}
