// SPDX-License-Identifier: Apache-2.0
import type { LoggerService } from '@nestjs/common';
import type { BusLog } from '@secondsite/messaging';

/** Nest's chatter is on the levels below `info`; a log that has none leaves it out. */
export interface NestLog extends Omit<BusLog, 'info'> {
  debug?(fields: object, message: string): void;
  trace?(fields: object, message: string): void;
}

/** Nest's own messages in the service's pino log. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: NestLog) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.logger.debug?.(fields(rest), text(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error(fields(rest), text(message));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn(fields(rest), text(message));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.logger.debug?.(fields(rest), text(message));
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.logger.trace?.(fields(rest), text(message));
  }
}

/** Nest puts the name of the class last, a stack before it. */
function fields(rest: readonly unknown[]): Record<string, unknown> {
  const [context, stack] = [...rest].reverse();
  return { ...(context === undefined ? {} : { context }), ...(stack === undefined ? {} : { stack }) };
}

function text(message: unknown): string {
  return message instanceof Error ? (message.stack ?? message.message) : typeof message === 'string' ? message : JSON.stringify(message);
}
