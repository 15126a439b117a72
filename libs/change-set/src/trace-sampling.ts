// SPDX-License-Identifier: Apache-2.0
/** Whether the trace context of a change set says that its trace is recorded, as was decided when the set was sealed. */
export function isSampled(traceparent: string | undefined): traceparent is string {
  return traceparent?.endsWith('-01') === true;
}

/** The same trace, recorded: for a set that turned out to be slow or failed. */
export function sampledTraceparent(traceparent: string): string {
  return `${traceparent.slice(0, -2)}01`;
}
