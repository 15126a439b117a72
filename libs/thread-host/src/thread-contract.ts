// SPDX-License-Identifier: Apache-2.0

/**
 * What main side and worker say to each other. Declare it once as an interface and give it to both sides:
 * `interface PairThread { requests: { store(input: StoreInput): StoreOutput }; events: { applied: Applied }; notices: { limits: Limits } }`.
 * All values must survive the structured clone (no functions, no class instances with methods).
 */
export interface ThreadContract {
  /** Operations that the worker answers. Each takes exactly one argument; the result may be a promise. */
  readonly requests: object;
  /** One way, worker → main: name → data. */
  readonly events: object;
  /** One way, main → worker: name → data. */
  readonly notices: object;
}

export type RequestName<Api extends ThreadContract> = keyof Api['requests'] & string;
export type EventName<Api extends ThreadContract> = keyof Api['events'] & string;
export type NoticeName<Api extends ThreadContract> = keyof Api['notices'] & string;

export type RequestInput<Api extends ThreadContract, K extends RequestName<Api>> = Api['requests'][K] extends () => unknown
  ? undefined
  : Api['requests'][K] extends (input: infer Input) => unknown
    ? Input
    : never;
export type RequestOutput<Api extends ThreadContract, K extends RequestName<Api>> = Api['requests'][K] extends (input: never) => infer Output
  ? Awaited<Output>
  : never;

/** Memory that changes owner instead of being copied; the sender's view of it has length 0 afterwards. */
export type TransferList = readonly ArrayBuffer[];

/** A reply whose memory is handed over instead of copied; made by `transferring`. */
export class Transferring<T> {
  constructor(
    readonly value: T,
    readonly transfer: TransferList,
  ) {}
}

/** Wraps a handler's result so that `transfer` (parts of `value`) moves to the main side without a copy. */
export function transferring<T>(value: T, transfer: TransferList): Transferring<T> {
  return new Transferring(value, transfer);
}
