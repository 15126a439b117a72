// SPDX-License-Identifier: Apache-2.0
// Makes the change set again that a referring set stands for. Invariants: nothing that a table or a replica says is believed: a block counts by its
// fingerprint, all of them together by the proof, and the whole by the set's own checksum, which the caller looks at as with any set.
import { type Decompress, HEADER_BYTES } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';
import { BlockFingerprinter, sameFingerprint } from './block-fingerprinter';
import type { BlockPlace, BlockTable } from './block-table';
import { blockBytesOf, type DeduplicationScope } from './deduplication-scope';
import { proofParts, type Sha256 } from './proof';
import { type BlockReference, decodeReferringSet, type DecodedReferringSet } from './referring-set';

/**
 * Fills `into` with what a volume holds now from a block on, which may be another content than the one that was seen there. False: it cannot be
 * read; whatever is wrong there, the set comes in full instead.
 */
export type ReadBlocks = (place: BlockPlace, into: Uint8Array) => Promise<boolean>;

export interface RebuildOptions {
  readonly scope: DeduplicationScope;
  readonly table: BlockTable;
  readonly read: ReadBlocks;
  readonly sha256: Sha256;
  readonly decompress: Decompress;
  /** Memory of at least so many bytes for the set. */
  readonly take: (bytes: ByteCount) => ArrayBufferLike;
  /** Takes back what no set was made in. */
  readonly giveBack: (memory: ArrayBufferLike) => void;
}

export type RebuiltSet =
  | { readonly kind: 'rebuilt'; readonly bytes: Uint8Array }
  /** Which references cannot be resolved here, as indexes into them, ascending. */
  | { readonly kind: 'missing'; readonly references: readonly number[] }
  | { readonly kind: 'damaged'; readonly code: string; readonly detail: string };

/** In one read. */
const RUN_BYTES_MAX = 1024 * 1024;

/** References whose blocks lie one behind the other, in the set and in a volume. */
interface Run {
  readonly first: number;
  readonly place: BlockPlace;
  count: number;
}

/** `bytes`: a referring set, unchecked; not needed any more when it resolves. */
export async function rebuildSet(bytes: Uint8Array, options: RebuildOptions): Promise<RebuiltSet> {
  const set = decodeReferringSet(bytes);
  if (!set.ok) return { kind: 'damaged', code: set.code, detail: set.detail };
  const all = [...set.references.keys()];
  if (set.blockBytes !== blockBytesOf(options.scope)) return { kind: 'missing', references: all };
  const rest = await restOf(set, options);
  if (!rest) return { kind: 'damaged', code: 'change-set/corrupt', detail: 'what is left of the set cannot be decompressed' };
  const length = HEADER_BYTES + set.decoded.header.storedBytes;
  const memory = options.take(length);
  try {
    const rebuilt = new Uint8Array(memory, 0, length);
    placeRest(rebuilt, { set, rest });
    const missing = await placeBlocks(rebuilt, { set, options });
    if (missing.length === 0 && (await isProved(rebuilt, { set, options }))) return { kind: 'rebuilt', bytes: rebuilt };
    options.giveBack(memory);
    const unresolved = missing.length > 0 ? missing : all;
    for (const index of unresolved) options.table.forget((set.references[index] as BlockReference).fingerprint);
    return { kind: 'missing', references: unresolved };
  } catch (error) {
    options.giveBack(memory);
    throw error;
  }
}

async function restOf({ storedRest, restIsCompressed, restBytes }: DecodedReferringSet, { decompress }: RebuildOptions): Promise<Uint8Array | undefined> {
  if (!restIsCompressed) return storedRest;
  const rest = await decompress(storedRest, { bytesMax: restBytes }).catch(() => undefined);
  return rest?.byteLength === restBytes ? rest : undefined;
}

function placeRest(rebuilt: Uint8Array, { set, rest }: { readonly set: DecodedReferringSet; readonly rest: Uint8Array }): void {
  rebuilt.set(set.header);
  const content = rebuilt.subarray(HEADER_BYTES);
  let [from, to] = [0, 0];
  for (const { position } of set.references) {
    content.set(rest.subarray(from, from + position - to), to);
    from += position - to;
    to = position + set.blockBytes;
  }
  content.set(rest.subarray(from), to);
}

/** Returns the references whose blocks are not where they were seen. */
async function placeBlocks(rebuilt: Uint8Array, { set, options }: { readonly set: DecodedReferringSet; readonly options: RebuildOptions }): Promise<number[]> {
  const { references, blockBytes } = set;
  const fingerprinter = new BlockFingerprinter(options.scope);
  const { missing, runs } = runsOf(set, options.table);
  for (const { first, place, count } of runs) {
    const at = HEADER_BYTES + (references[first] as BlockReference).position;
    const into = rebuilt.subarray(at, at + count * blockBytes);
    const isThere = await options.read(place, into);
    for (let index = first, from = 0; index < first + count; index++, from += blockBytes) {
      const { fingerprint } = references[index] as BlockReference;
      if (!isThere || !sameFingerprint(fingerprinter.of(into.subarray(from, from + blockBytes)), fingerprint)) missing.push(index);
    }
  }
  return missing.sort((one, other) => one - other);
}

function runsOf({ references, blockBytes }: DecodedReferringSet, table: BlockTable): { readonly missing: number[]; readonly runs: readonly Run[] } {
  const missing: number[] = [];
  const runs: Run[] = [];
  references.forEach(({ position, fingerprint }, index) => {
    const place = table.placeOf(fingerprint);
    if (!place) return void missing.push(index);
    const run = runs.at(-1);
    const goesOn =
      run !== undefined && run.first + run.count === index && run.place.volume === place.volume && run.place.block + run.count === place.block &&
      (references[run.first] as BlockReference).position + run.count * blockBytes === position && (run.count + 1) * blockBytes <= RUN_BYTES_MAX;
    if (goesOn) run.count += 1;
    else runs.push({ first: index, place, count: 1 });
  });
  return { missing, runs };
}

async function isProved(rebuilt: Uint8Array, { set, options }: { readonly set: DecodedReferringSet; readonly options: RebuildOptions }): Promise<boolean> {
  const content = rebuilt.subarray(HEADER_BYTES);
  const blocks = set.references.map(({ position }) => content.subarray(position, position + set.blockBytes));
  return Buffer.from(await options.sha256(proofParts(options.scope.tenantId, blocks))).equals(set.proof);
}
