// SPDX-License-Identifier: Apache-2.0
/** The part of a pino logger that the bus uses. */
export interface BusLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const silentLog: BusLog = Object.freeze({ info: () => undefined, warn: () => undefined, error: () => undefined });
