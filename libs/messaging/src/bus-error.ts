// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';

interface NatsFailure {
  readonly operation: string;
  readonly context: Readonly<Record<string, string | number>>;
  readonly cause: unknown;
}

/** Gives a failure of the NATS client a stable code: `bus/no-responder`, `bus/timeout`, `bus/not-connected`, `bus/not-permitted` or `bus/failed`. */
export function busError({ operation, context, cause }: NatsFailure): OperationError {
  if (cause instanceof OperationError) return cause;
  const { code } = cause as { code?: string };
  const natsCode = code ?? '';
  const details = { operation, context, cause, retryable: true };
  if (natsCode === '503') return new OperationError({ ...details, code: 'bus/no-responder', hint: 'Nobody answers there: is the component, or JetStream, running?' });
  if (natsCode === 'TIMEOUT') return new OperationError({ ...details, code: 'bus/timeout', hint: 'There was no answer in time; it may still have been done.' });
  if (natsCode.startsWith('CONNECTION') || natsCode === 'DISCONNECT') {
    return new OperationError({ ...details, code: 'bus/not-connected', hint: 'NATS cannot be reached now; it is tried again until it can.' });
  }
  if (natsCode === 'PERMISSIONS_VIOLATION') {
    return new OperationError({ ...details, code: 'bus/not-permitted', hint: 'NATS does not let this certificate do that; a component that has just enrolled gets its rights in a moment.' });
  }
  return new OperationError({ ...details, code: 'bus/failed', hint: 'See the cause, and the log of nats-server.' });
}
