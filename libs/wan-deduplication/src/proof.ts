// SPDX-License-Identifier: Apache-2.0

/** SHA-256 (32 bytes) of the parts one after another. Given by the caller, so that this library stays free of input and output. */
export type Sha256 = (parts: readonly Uint8Array[]) => Promise<Uint8Array>;

export const PROOF_BYTES = 32;

/** What the proof of a referring set is the hash of: the tenant, and the blocks in the order of their references. */
export function proofParts(tenantId: string, blocks: readonly Uint8Array[]): readonly Uint8Array[] {
  return [Buffer.from(`${tenantId}\0`), ...blocks];
}
