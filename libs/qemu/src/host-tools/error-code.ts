// SPDX-License-Identifier: Apache-2.0
/** `code` of a system error, e.g. `ENOENT`; undefined for anything else. Looks at the value, not its class, as errors may come from another realm. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
