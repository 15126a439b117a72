// SPDX-License-Identifier: Apache-2.0
import { type DecodedHeader, encodeHeader } from './change-set-header';
import { CONTENT_BYTES_MAX } from './change-set-layout';
import { checksum } from './checksum';
import type { SealedChangeSet } from './encode-change-set';
import { type Refusal, refusal } from './refusal';
import { type StoredChangeSet, type VerifiedChangeSet, verifyContent } from './verify-change-set';

/** zstd over the parts one after another, as one frame; undefined when it is not worthwhile. Given by the caller, so that this library stays free of input and output. */
export type Compress = (parts: readonly Uint8Array[]) => Promise<Uint8Array | undefined>;

/** The reverse; must reject or return early rather than produce more than `bytesMax`. `memory` may be asked for room for the result. */
export type Decompress = (stored: Uint8Array, limits: { readonly bytesMax: number; readonly memory?: ((bytes: number) => ArrayBufferLike) | undefined }) => Promise<Uint8Array>;

/** The same set compressed; the set itself when compression does not make it smaller or it is compressed already. */
export async function compressSealed(set: SealedChangeSet, compress: Compress): Promise<SealedChangeSet> {
  if (set.header.compression !== 'none') return set;
  const parts = set.parts.slice(1);
  const stored = await compress(parts);
  if (!stored || stored.byteLength >= set.header.contentBytes) return set;
  const header = { ...set.header, compression: 'zstd' as const, storedBytes: stored.byteLength };
  return { header, parts: [encodeHeader(header, { stored: checksum([stored]), content: checksum(parts) }), stored] };
}

/** The same for a set received as bytes and checked by verifyStored; undefined when it is better left as it is. */
export async function compressStored(set: StoredChangeSet, compress: Compress): Promise<SealedChangeSet | undefined> {
  if (set.header.compression !== 'none') return undefined;
  const stored = await compress([set.stored]);
  if (!stored || stored.byteLength >= set.header.contentBytes) return undefined;
  const header = { ...set.header, compression: 'zstd' as const, storedBytes: stored.byteLength };
  return { header, parts: [encodeHeader(header, { stored: checksum([stored]), content: set.checksums.content }), stored] };
}

/** Opens a set of either kind and checks its content. */
export async function decompressChangeSet(set: DecodedHeader & { readonly stored: Uint8Array }, decompress: Decompress): Promise<VerifiedChangeSet | Refusal> {
  if (set.header.compression === 'none') return verifyContent(set, set.stored);
  let content: Uint8Array;
  try {
    content = await decompress(set.stored, { bytesMax: Math.min(set.header.contentBytes, CONTENT_BYTES_MAX) });
  } catch (error) {
    return refusal('change-set/corrupt', `the content cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`);
  }
  return verifyContent(set, content);
}
