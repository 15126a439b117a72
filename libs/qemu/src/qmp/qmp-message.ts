// SPDX-License-Identifier: Apache-2.0
// QMP wire messages. Source: QEMU Machine Protocol specification 0.1, sections 2 and 3.
import type { TimeMicros } from '@secondsite/units';

export type QmpArguments = Readonly<Record<string, unknown>>;

/** Something QEMU reported by itself, with QEMU's own time of it (the host's clock). */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly timeMicros: TimeMicros;
}

export interface QmpGreeting {
  readonly kind: 'greeting';
  /** QEMU's version, e.g. `7.2.22`. */
  readonly version: string;
  readonly capabilities: readonly string[];
}

export type QmpMessage =
  | QmpGreeting
  | { readonly kind: 'return'; readonly id: number | undefined; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number | undefined; readonly errorClass: string; readonly description: string }
  | { readonly kind: 'event'; readonly event: QmpEvent };

/** One line from QEMU; undefined when it is no QMP message. */
export function parseQmpMessage(line: string): QmpMessage | undefined {
  const message = parseObject(line);
  if (!message) return undefined;
  const id = typeof message['id'] === 'number' ? message['id'] : undefined;
  if ('return' in message) return { kind: 'return', id, value: message['return'] };
  if (isRecord(message['error'])) return errorMessage(id, message['error']);
  if (typeof message['event'] === 'string') return { kind: 'event', event: eventOf(message['event'], message) };
  if (isRecord(message['QMP'])) return greetingOf(message['QMP']);
  return undefined;
}

/** True for a JSON object; QMP answers are read with it field by field. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function errorMessage(id: number | undefined, error: Record<string, unknown>): QmpMessage {
  return { kind: 'error', id, errorClass: String(error['class'] ?? 'GenericError'), description: String(error['desc'] ?? '') };
}

function eventOf(name: string, message: Record<string, unknown>): QmpEvent {
  const stamp = isRecord(message['timestamp']) ? message['timestamp'] : {};
  const timeMicros = Number(stamp['seconds'] ?? 0) * 1e6 + Number(stamp['microseconds'] ?? 0);
  return { name, data: isRecord(message['data']) ? message['data'] : {}, timeMicros: Math.max(0, timeMicros) };
}

function greetingOf(greeting: Record<string, unknown>): QmpGreeting {
  const version = isRecord(greeting['version']) && isRecord(greeting['version']['qemu']) ? greeting['version']['qemu'] : {};
  const capabilities = Array.isArray(greeting['capabilities']) ? greeting['capabilities'].map(String) : [];
  return { kind: 'greeting', version: [version['major'], version['minor'], version['micro']].join('.'), capabilities };
}
