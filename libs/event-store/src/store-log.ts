// SPDX-License-Identifier: Apache-2.0
/** The part of a pino logger that the event store uses. */
export interface StoreLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export const silentLog: StoreLog = Object.freeze({ info: () => undefined, warn: () => undefined });
