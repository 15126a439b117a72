// SPDX-License-Identifier: Apache-2.0
import { checksum } from '@secondsite/change-set';
import type { DeduplicationScope } from './deduplication-scope';

/** 64 bits by which a block is looked for: never a proof of what it holds (see `proofParts`). Two words below 2^32, not both 0. */
export interface Fingerprint {
  readonly low: number;
  readonly high: number;
}

/** Fingerprints of a tenant's blocks: XXH3-64 of the block and of the tenant's id, so that they find nothing at another tenant's target. */
export class BlockFingerprinter {
  readonly #tenant: Fingerprint;

  constructor({ tenantId }: DeduplicationScope) {
    this.#tenant = markOf(tenantId);
  }

  of(block: Uint8Array): Fingerprint {
    const { low, high } = mixed(wordsOf(checksum([block])), this.#tenant);
    return low === 0 && high === 0 ? { low: 1, high } : { low, high };
  }
}

export function sameFingerprint(one: Fingerprint, other: Fingerprint): boolean {
  return one.low === other.low && one.high === other.high;
}

/** Of a name, to be mixed into fingerprints. */
export function markOf(name: string): Fingerprint {
  return wordsOf(checksum([Buffer.from(name)]));
}

export function mixed(fingerprint: Fingerprint, mark: Fingerprint): Fingerprint {
  return { low: (fingerprint.low ^ mark.low) >>> 0, high: (fingerprint.high ^ mark.high) >>> 0 };
}

function wordsOf(sum: Uint8Array): Fingerprint {
  const view = new DataView(sum.buffer, sum.byteOffset);
  return { low: view.getUint32(0, true), high: view.getUint32(4, true) };
}
