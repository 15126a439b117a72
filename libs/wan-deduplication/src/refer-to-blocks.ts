// SPDX-License-Identifier: Apache-2.0
import { HEADER_BYTES, verifyContent, type VerifiedChangeSet, verifyStored } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';
import { BlockFingerprinter, type Fingerprint } from './block-fingerprinter';
import { blockBytesOf, type DeduplicationScope } from './deduplication-scope';
import { type FullBlock, fullBlocksMax, fullBlocksOf } from './full-blocks';
import { FingerprintList } from './known-blocks';
import { proofParts, type Sha256 } from './proof';
import { encodeReferences, type ReferringSet } from './referring-set';

export interface ReferOptions {
  readonly scope: DeduplicationScope;
  /** What the target is known to have. */
  readonly isKnown: (fingerprint: Fingerprint) => boolean;
  readonly sha256: Sha256;
}

export interface ReferredSet {
  /** Of all full blocks of the set, in their order, repeats included. */
  readonly fingerprints: FingerprintList;
  /** Undefined: it is better sent as it is. Its memory is its own. */
  readonly referring: ReferringSet | undefined;
}

/** Where less than this part of a set is known, a refused reference would cost more than all of them save. */
const worthwhilePart = 1 / 16;

type KnownBlock = FullBlock & { readonly fingerprint: Fingerprint };

/** Looks for what the target has already in a change set. `bytes`: as stored; one that is compressed or damaged has no blocks. Nothing of it is changed. */
export async function referToBlocks(bytes: Uint8Array, { scope, isKnown, sha256 }: ReferOptions): Promise<ReferredSet> {
  const set = uncompressed(bytes);
  if (!set) return { fingerprints: FingerprintList.ofRoom(0), referring: undefined };
  const blockBytes = blockBytesOf(scope);
  const fingerprinter = new BlockFingerprinter(scope);
  const fingerprints = FingerprintList.ofRoom(fullBlocksMax(set, blockBytes));
  const known: KnownBlock[] = [];
  for (const block of fullBlocksOf(set, blockBytes)) {
    const fingerprint = fingerprinter.of(block.bytes);
    fingerprints.push(fingerprint);
    if (isKnown(fingerprint)) known.push({ ...block, fingerprint });
  }
  const content = bytes.subarray(HEADER_BYTES);
  if (known.length * blockBytes < Math.max(1, content.byteLength * worthwhilePart)) return { fingerprints, referring: undefined };
  const proof = await sha256(proofParts(scope.tenantId, known.map((block) => block.bytes)));
  const header = bytes.slice(0, HEADER_BYTES);
  return { fingerprints, referring: { blockBytes, header, references: encodeReferences(known), proof, rest: without(content, { known, blockBytes }) } };
}

function uncompressed(bytes: Uint8Array): VerifiedChangeSet | undefined {
  const stored = verifyStored(bytes);
  if (!stored.ok || stored.header.compression !== 'none') return undefined;
  const set = verifyContent(stored, stored.stored);
  return set.ok ? set : undefined;
}

function without(content: Uint8Array, { known, blockBytes }: { readonly known: readonly KnownBlock[]; readonly blockBytes: ByteCount }): Uint8Array {
  const rest = new Uint8Array(content.byteLength - known.length * blockBytes);
  let [from, to] = [0, 0];
  for (const { position } of known) {
    rest.set(content.subarray(from, position), to);
    to += position - from;
    from = position + blockBytes;
  }
  rest.set(content.subarray(from), to);
  return rest;
}
