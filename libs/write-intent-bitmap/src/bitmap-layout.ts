// SPDX-License-Identifier: Apache-2.0
// The bytes of a write-intent bitmap file, version 1; FORMAT.md explains them. Pure: bytes in, values out.
import { type ByteCount, type Epoch, MIB } from '@secondsite/units';
import { XXHash3 } from 'xxhash-addon';
import type { RegionSet } from './region-set';

const MAGIC = 0x42575353; // 'SSWB' read as little-endian
const VERSION = 1;
const VOLUME_ID_BYTES_MAX = 128;
const CHECKSUM_BYTES = 8;
const FLAG_CLEAN = 1;

/** One disk sector: the unit that a power cut leaves whole. Header slots and pages are of this size. */
export const PAGE_BYTES = 512;
/** Regions whose bits stand in one page. */
export const REGIONS_PER_PAGE = (PAGE_BYTES - CHECKSUM_BYTES) * 8;
/** The two header slots. */
export const HEADER_SLOTS = [0, 4096] as const;
export const PAGES_START = 8192;
const REGIONS_MAX = 1024 * 1024;

export interface BitmapHeader {
  readonly volumeId: string;
  readonly volumeBytes: ByteCount;
  readonly regionBytes: ByteCount;
  readonly epoch: Epoch;
  /** The file was closed with every change of the volume applied at the target. */
  readonly clean: boolean;
  /** Grows by one with each header written; the larger valid one of the two slots counts. */
  readonly generation: number;
}

/** `regionBytesMin`, doubled until a volume has at most 1,048,576 regions. */
export function regionBytesFor(volumeBytes: ByteCount, regionBytesMin: ByteCount = MIB): ByteCount {
  let regionBytes = regionBytesMin;
  while (Math.ceil(volumeBytes / regionBytes) > REGIONS_MAX) regionBytes *= 2;
  return regionBytes;
}

export function encodeBitmapHeader(header: BitmapHeader): Buffer {
  const id = Buffer.from(header.volumeId);
  if (id.length === 0 || id.length > VOLUME_ID_BYTES_MAX) throw new RangeError('a volume id has 1 to 128 bytes');
  const bytes = Buffer.alloc(PAGE_BYTES);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(VERSION, 4);
  bytes.writeUInt16LE(header.clean ? FLAG_CLEAN : 0, 6);
  bytes.writeUInt32LE(header.epoch, 8);
  bytes.writeUInt32LE(id.length, 12);
  bytes.writeBigUInt64LE(BigInt(header.generation), 16);
  bytes.writeBigUInt64LE(BigInt(header.volumeBytes), 24);
  bytes.writeBigUInt64LE(BigInt(header.regionBytes), 32);
  id.copy(bytes, 64);
  XXHash3.hash(bytes.subarray(0, PAGE_BYTES - CHECKSUM_BYTES)).copy(bytes, PAGE_BYTES - CHECKSUM_BYTES);
  return bytes;
}

/** Undefined when the slot is empty, torn, damaged or of another version. */
export function decodeBitmapHeader(bytes: Buffer): BitmapHeader | undefined {
  if (bytes.length < PAGE_BYTES || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt16LE(4) !== VERSION) return undefined;
  if (!XXHash3.hash(bytes.subarray(0, PAGE_BYTES - CHECKSUM_BYTES)).equals(bytes.subarray(PAGE_BYTES - CHECKSUM_BYTES, PAGE_BYTES))) return undefined;
  return {
    volumeId: bytes.subarray(64, 64 + bytes.readUInt32LE(12)).toString(),
    volumeBytes: Number(bytes.readBigUInt64LE(24)),
    regionBytes: Number(bytes.readBigUInt64LE(32)),
    epoch: bytes.readUInt32LE(8),
    clean: (bytes.readUInt16LE(6) & FLAG_CLEAN) !== 0,
    generation: Number(bytes.readBigUInt64LE(16)),
  };
}

/** One page with the bits of its regions as they stand in `regions`. */
export function encodePage(page: number, regions: RegionSet): Buffer {
  const bytes = Buffer.alloc(PAGE_BYTES);
  const first = page * REGIONS_PER_PAGE;
  for (let region = regions.nextFrom(first); region !== undefined && region < first + REGIONS_PER_PAGE; region = regions.nextFrom(region + 1)) {
    const bit = region - first;
    bytes[CHECKSUM_BYTES + (bit >>> 3)] = (bytes[CHECKSUM_BYTES + (bit >>> 3)] as number) | (1 << (bit & 7));
  }
  pageChecksum(page, bytes).copy(bytes);
  return bytes;
}

/** Adds the page's regions to `into`. A page that does not match its checksum counts as all dirty; false then. */
export function decodePage(page: number, bytes: Buffer, into: RegionSet): boolean {
  const whole = bytes.length === PAGE_BYTES && pageChecksum(page, bytes).equals(bytes.subarray(0, CHECKSUM_BYTES));
  const first = page * REGIONS_PER_PAGE;
  for (let region = first; region < Math.min(first + REGIONS_PER_PAGE, into.regionCount); region++) {
    const bit = region - first;
    if (!whole || ((bytes[CHECKSUM_BYTES + (bit >>> 3)] as number) & (1 << (bit & 7))) !== 0) into.add(region);
  }
  return whole;
}

/** Seeded with the page's number, so that a page in the wrong place does not pass. */
function pageChecksum(page: number, bytes: Buffer): Buffer {
  const seed = Buffer.alloc(4);
  seed.writeUInt32BE(page + 1);
  const hash = new XXHash3(seed);
  hash.update(bytes.subarray(CHECKSUM_BYTES));
  return hash.digest();
}
