// SPDX-License-Identifier: Apache-2.0
// Bytes of a change set that refers to blocks instead of bringing them: FORMAT.md explains them; nothing else may know an offset.
import { checksum, CONTENT_BYTES_MAX, type DecodedHeader, decodeHeader, HEADER_BYTES } from '@secondsite/change-set';
import type { ByteCount } from '@secondsite/units';
import type { Fingerprint } from './block-fingerprinter';
import { PROOF_BYTES } from './proof';

const MAGIC = 0x52535353; // 'SSSR' read as little-endian
const FORMAT_VERSION = 1;
const FLAG_ZSTD = 1;
const CHECKSUM_AT = 8;
const COVERED_FROM = 16;
const PROOF_AT = 32;
const HEADER_AT = PROOF_AT + PROOF_BYTES;
const HEAD_BYTES = HEADER_AT + HEADER_BYTES;
export const REFERENCE_BYTES = 12;

/** A block that the set does not bring. */
export interface BlockReference {
  /** Where it stands in the set's content. */
  readonly position: ByteCount;
  readonly fingerprint: Fingerprint;
}

/** A set with references, before its rest is compressed. */
export interface ReferringSet {
  readonly blockBytes: ByteCount;
  /** The change set's own header, unchanged. */
  readonly header: Uint8Array;
  /** Encoded, see `encodeReferences`. */
  readonly references: Uint8Array;
  readonly proof: Uint8Array;
  /** The content without the blocks. */
  readonly rest: Uint8Array;
}

export interface DecodedReferringSet {
  readonly ok: true;
  readonly blockBytes: ByteCount;
  /** Of the change set, whose content is not compressed. */
  readonly decoded: DecodedHeader;
  readonly header: Uint8Array;
  /** By ascending position, without overlaps, inside the content. */
  readonly references: readonly BlockReference[];
  readonly proof: Uint8Array;
  /** As it travelled. */
  readonly storedRest: Uint8Array;
  readonly restIsCompressed: boolean;
  readonly restBytes: ByteCount;
}

export interface DamagedReferringSet {
  readonly ok: false;
  readonly code: 'change-set/corrupt';
  readonly detail: string;
}

/** True for bytes that claim to be a referring set; a change set begins in another way. */
export function isReferringSet(bytes: Uint8Array): boolean {
  return bytes.byteLength >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC;
}

export function encodeReferences(references: readonly BlockReference[]): Uint8Array {
  const bytes = new Uint8Array(references.length * REFERENCE_BYTES);
  const view = viewOf(bytes);
  references.forEach(({ position, fingerprint: { low, high } }, index) => {
    const at = index * REFERENCE_BYTES;
    view.setUint32(at, position, true);
    view.setUint32(at + 4, low, true);
    view.setUint32(at + 8, high, true);
  });
  return bytes;
}

/** The parts, one after another, are what travels. `compressedRest`: one zstd frame of the rest. */
export function sealReferringSet({ blockBytes, header, references, proof, rest }: ReferringSet, compressedRest?: Uint8Array): readonly Uint8Array[] {
  const head = new Uint8Array(HEAD_BYTES);
  const view = viewOf(head);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, FORMAT_VERSION, true);
  view.setUint16(6, compressedRest ? FLAG_ZSTD : 0, true);
  view.setUint32(16, blockBytes, true);
  view.setUint32(20, references.byteLength / REFERENCE_BYTES, true);
  view.setUint32(24, rest.byteLength, true);
  head.set(proof, PROOF_AT);
  head.set(header, HEADER_AT);
  const storedRest = compressedRest ?? rest;
  head.set(checksum([head.subarray(COVERED_FROM), references, storedRest]), CHECKSUM_AT);
  return [head, references, storedRest];
}

/** Checks everything but the rest's content, which only the rebuilt set's own checksum can. Shares memory with `bytes`. */
export function decodeReferringSet(bytes: Uint8Array): DecodedReferringSet | DamagedReferringSet {
  if (bytes.byteLength < HEAD_BYTES || !isReferringSet(bytes)) return damaged('it is no referring set');
  const view = viewOf(bytes);
  if (view.getUint16(4, true) !== FORMAT_VERSION) return damaged(`version ${view.getUint16(4, true)} is not known here`);
  const flags = view.getUint16(6, true);
  const sum = Buffer.from(checksum([bytes.subarray(COVERED_FROM)]));
  if (!sum.equals(bytes.subarray(CHECKSUM_AT, COVERED_FROM)) || flags > FLAG_ZSTD) return damaged('the checksum of the referring set does not match');
  const [blockBytes, count, restBytes] = [view.getUint32(16, true), view.getUint32(20, true), view.getUint32(24, true)];
  const header = bytes.subarray(HEADER_AT, HEAD_BYTES);
  const decoded = decodeHeader(header);
  if (!decoded.ok) return damaged(decoded.detail);
  const { storedBytes, compression } = decoded.header;
  const fits = blockBytes > 0 && count > 0 && compression === 'none' && storedBytes <= CONTENT_BYTES_MAX && restBytes + count * blockBytes === storedBytes;
  const restAt = HEAD_BYTES + count * REFERENCE_BYTES;
  if (!fits || restAt > bytes.byteLength) return damaged('its sizes contradict each other');
  const storedRest = bytes.subarray(restAt);
  if (flags === 0 && storedRest.byteLength !== restBytes) return damaged(`${storedRest.byteLength} bytes follow the references, it announces ${restBytes}`);
  const references = decodeReferences(bytes.subarray(HEAD_BYTES, restAt));
  if (!areApart(references, { blockBytes, storedBytes })) return damaged('its references overlap or lie outside the content');
  const proof = bytes.subarray(PROOF_AT, HEADER_AT);
  return { ok: true, blockBytes, decoded, header, references, proof, storedRest, restIsCompressed: flags === FLAG_ZSTD, restBytes };
}

/** The reverse of `encodeReferences`. */
export function decodeReferences(bytes: Uint8Array): BlockReference[] {
  const view = viewOf(bytes);
  return Array.from({ length: bytes.byteLength / REFERENCE_BYTES }, (_, index) => {
    const at = index * REFERENCE_BYTES;
    return { position: view.getUint32(at, true), fingerprint: { low: view.getUint32(at + 4, true), high: view.getUint32(at + 8, true) } };
  });
}

function areApart(references: readonly BlockReference[], { blockBytes, storedBytes }: { readonly blockBytes: ByteCount; readonly storedBytes: ByteCount }): boolean {
  let end = 0;
  return references.every(({ position }) => {
    const isBehind = position >= end && position + blockBytes <= storedBytes;
    end = position + blockBytes;
    return isBehind;
  });
}

function damaged(detail: string): DamagedReferringSet {
  return { ok: false, code: 'change-set/corrupt', detail };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
