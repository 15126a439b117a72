// SPDX-License-Identifier: Apache-2.0
import type { StorageFile } from '@secondsite/durable-storage';
import type { ByteCount } from '@secondsite/units';
import { type BitmapHeader, decodeBitmapHeader, decodePage, HEADER_SLOTS, PAGE_BYTES, PAGES_START, regionBytesFor, REGIONS_PER_PAGE } from './bitmap-layout';
import { RegionSet } from './region-set';

export interface BitmapVolume {
  readonly volumeId: string;
  readonly volumeBytes: ByteCount;
  /** Smallest region; default 1 MiB. With another one than before every region counts as marked. */
  readonly regionBytesMin?: ByteCount;
}

export interface BitmapRecovery {
  /** `created`: there was none (or only the beginning of one). `damaged`: no header was whole, or it is another volume's. */
  readonly origin: 'created' | 'recovered' | 'damaged';
  readonly header: BitmapHeader;
  /** The file was closed with everything applied at the target. */
  readonly clean: boolean;
  /** Regions that may differ from the replica. */
  readonly dirty: RegionSet;
  /** The volume was resized or a page was damaged: the file must be written anew. */
  readonly changed: boolean;
  /** How big the volume was when the file was written, if it has grown since. */
  readonly grownFrom?: ByteCount;
}

/** Reads a bitmap file, synced first: what only the page cache holds after a crash of the process must not be taken for durable. */
export async function recoverBitmap(file: StorageFile, volume: BitmapVolume): Promise<BitmapRecovery> {
  await file.sync();
  const regionBytes = regionBytesFor(volume.volumeBytes, volume.regionBytesMin);
  const found = await newestHeader(file);
  if (!found || found.volumeId !== volume.volumeId) return allDirty(volume, { regionBytes, damaged: found !== undefined || file.size() > PAGES_START, generation: found?.generation ?? 0 });
  const header = { ...found, volumeBytes: volume.volumeBytes, regionBytes };
  const resized = found.volumeBytes !== volume.volumeBytes;
  const grown = found.volumeBytes < volume.volumeBytes ? { grownFrom: found.volumeBytes } : {};
  if (found.regionBytes !== regionBytes) return { origin: 'recovered', header: later(header), clean: false, dirty: RegionSet.full(regionCountOf(header)), changed: true, ...grown };
  const dirty = new RegionSet(regionCountOf(header));
  const damagedPages = await readPages(file, { known: Math.ceil(found.volumeBytes / regionBytes), into: dirty });
  if (resized) for (let region = Math.floor(Math.min(found.volumeBytes, volume.volumeBytes) / regionBytes); region < dirty.regionCount; region++) dirty.add(region);
  const changed = resized || damagedPages > 0;
  return { origin: 'recovered', header: changed ? later(header) : header, clean: found.clean && !changed, dirty, changed, ...grown };
}

function allDirty(
  volume: { readonly volumeId: string; readonly volumeBytes: ByteCount },
  facts: { readonly regionBytes: ByteCount; readonly damaged: boolean; readonly generation: number },
): BitmapRecovery {
  const header = { volumeId: volume.volumeId, volumeBytes: volume.volumeBytes, regionBytes: facts.regionBytes, epoch: 0, clean: false, generation: facts.generation + 1 };
  return { origin: facts.damaged ? 'damaged' : 'created', header, clean: false, dirty: RegionSet.full(regionCountOf(header)), changed: true };
}

function later(header: BitmapHeader): BitmapHeader {
  return { ...header, clean: false, generation: header.generation + 1 };
}

function regionCountOf({ volumeBytes, regionBytes }: Pick<BitmapHeader, 'volumeBytes' | 'regionBytes'>): number {
  return Math.ceil(volumeBytes / regionBytes);
}

async function newestHeader(file: StorageFile): Promise<BitmapHeader | undefined> {
  let newest: BitmapHeader | undefined;
  for (const position of HEADER_SLOTS) {
    const bytes = Buffer.alloc(PAGE_BYTES);
    const count = await file.read(bytes, position);
    const header = decodeBitmapHeader(bytes.subarray(0, count));
    if (header && header.generation > (newest?.generation ?? 0)) newest = header;
  }
  return newest;
}

/** Adds the regions marked in the file to `into`; regions past what the file knew are left out. Returns how many pages were damaged. */
async function readPages(file: StorageFile, { known, into }: { readonly known: number; readonly into: RegionSet }): Promise<number> {
  let damaged = 0;
  const bytes = Buffer.alloc(PAGE_BYTES);
  for (let page = 0; page * REGIONS_PER_PAGE < Math.min(known, into.regionCount); page++) {
    const count = await file.read(bytes, PAGES_START + page * PAGE_BYTES);
    if (!decodePage(page, bytes.subarray(0, count), into)) damaged += 1;
  }
  return damaged;
}
