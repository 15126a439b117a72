// SPDX-License-Identifier: Apache-2.0
import { type Role, type Telemetry, telemetrySchema, telemetrySubject, telemetrySubjectFilter } from '@secondsite/contracts';
import type { Subscription } from 'nats';
import { type BusLog, silentLog } from './bus-log';
import type { NatsLink } from './nats-link';

/** Sends one message, or drops it when the bus is away: a newer one follows in a second. Returns whether it was sent. */
export function publishTelemetry(link: NatsLink, telemetry: Telemetry): boolean {
  if (!link.isConnected) return false;
  link.connection().publish(telemetrySubject(telemetry), JSON.stringify(telemetry));
  return true;
}

export interface TelemetryFilter {
  readonly tenantId?: string;
  readonly role?: Role;
}

/** Follows live telemetry across reconnections. A message that breaks its schema is logged and left out. The handler must not throw. */
export function subscribeTelemetry(
  link: NatsLink, filter: TelemetryFilter, handler: (telemetry: Telemetry) => void, log: BusLog = silentLog,
): { close(): void } {
  let subscription: Subscription | undefined;
  const stop = link.onConnected(() => {
    if (subscription && !subscription.isClosed()) return;
    subscription = link.connection().subscribe(telemetrySubjectFilter(filter), {
      callback: (error, message) => {
        if (error) return;
        const parsed = telemetrySchema.safeParse(parseJson(message.data));
        if (parsed.success && telemetrySubject(parsed.data) === message.subject) handler(parsed.data);
        else log.warn({ subject: message.subject, faults: parsed.error?.issues.map((issue) => issue.path.join('.')) }, 'telemetry refused');
      },
    });
  });
  return {
    close: () => {
      stop();
      subscription?.unsubscribe();
    },
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
