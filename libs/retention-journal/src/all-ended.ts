// SPDX-License-Identifier: Apache-2.0

/** Resolves when all have, or rejects as the first that failed, but never before the last has ended: they write into the caller's memory. */
export async function allEnded(works: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}
