// SPDX-License-Identifier: Apache-2.0
// The bytes of one file as the page cache has them and as the disk would have them after a power cut. Unit of tearing: a sector of
// 512 bytes. Every write of a sector since the last sync is remembered as a version of its own, and a cut may keep any of them.
import { type Random, randomBelow } from './seeded-random';

export const sectorBytes = 512;

export class CrashableContent {
  #current = new Uint8Array(0);
  #size = 0;
  #durable = new Uint8Array(0);
  #durableSize = 0;
  /** Sizes since the last sync, oldest first. */
  #sizes: number[] = [];
  /** Contents of each sector written since the last sync, oldest first. */
  #versions = new Map<number, Uint8Array[]>();

  get size(): number {
    return this.#size;
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    into.set(this.#current.subarray(offset, offset + count));
    return count;
  }

  write(data: Uint8Array, offset: number): void {
    if (data.length === 0) return;
    const end = offset + data.length;
    this.#current = grown(this.#current, end);
    this.#current.set(data, offset);
    if (end > this.#size) this.#resize(end);
    this.#remember(offset, end);
  }

  zero(offset: number, length: number): void {
    const end = Math.min(offset + length, this.#size);
    if (end <= offset) return;
    this.#current.fill(0, offset, end);
    this.#remember(offset, end);
  }

  truncate(size: number): void {
    if (size < this.#size) this.zero(size, this.#size - size);
    this.#current = grown(this.#current, size);
    if (size !== this.#size) this.#resize(size);
  }

  nextData(offset: number): { readonly offset: number; readonly length: number } | undefined {
    let start = offset;
    while (start < this.#size && this.#current[start] === 0) start += 1;
    if (start >= this.#size) return undefined;
    const first = Math.max(offset, start - (start % sectorBytes));
    let end = first - (first % sectorBytes) + sectorBytes;
    while (end < this.#size && this.#current.subarray(end, end + sectorBytes).some((byte) => byte !== 0)) end += sectorBytes;
    return { offset: first, length: Math.min(end, this.#size) - first };
  }

  sync(): void {
    this.#durable = grown(this.#durable, this.#size);
    for (const sector of this.#versions.keys()) {
      // A sector past the end was cut off since and is zeros.
      this.#durable = grown(this.#durable, (sector + 1) * sectorBytes);
      this.#durable.set(this.#sector(sector), sector * sectorBytes);
    }
    this.#durableSize = this.#size;
    this.#versions.clear();
    this.#sizes = [];
  }

  /** Power cut: for each unsynced sector and for the size, any state since the last sync, as `random` says. */
  crash(random: Random): void {
    for (const [sector, versions] of this.#versions) {
      const kept = versions[randomBelow(random, versions.length + 1) - 1];
      if (kept === undefined) continue;
      this.#durable = grown(this.#durable, sector * sectorBytes + kept.length);
      this.#durable.set(kept, sector * sectorBytes);
    }
    const kept = randomBelow(random, this.#sizes.length + 1);
    if (kept > 0) this.#durableSize = this.#sizes[kept - 1] ?? 0;
    this.#durable = grown(this.#durable, this.#durableSize);
    this.#durable.fill(0, this.#durableSize);
    this.#current = this.#durable.slice();
    this.#size = this.#durableSize;
    this.#versions.clear();
    this.#sizes = [];
  }

  clone(): CrashableContent {
    const copy = new CrashableContent();
    copy.#current = this.#current.slice();
    copy.#size = this.#size;
    copy.#durable = this.#durable.slice();
    copy.#durableSize = this.#durableSize;
    copy.#sizes = [...this.#sizes];
    copy.#versions = new Map([...this.#versions].map(([sector, versions]) => [sector, [...versions]]));
    return copy;
  }

  #resize(size: number): void {
    this.#size = size;
    this.#sizes.push(size);
  }

  #remember(offset: number, end: number): void {
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector += 1) {
      const versions = this.#versions.get(sector);
      if (versions) versions.push(this.#sector(sector).slice());
      else this.#versions.set(sector, [this.#sector(sector).slice()]);
    }
  }

  #sector(sector: number): Uint8Array {
    return this.#current.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
  }
}

/** At least `size` long, rounded up to whole sectors and doubled so that appends stay cheap. */
function grown(bytes: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= size) return bytes;
  const wanted = Math.max(Math.ceil(size / sectorBytes) * sectorBytes, bytes.length * 2);
  const bigger = new Uint8Array(wanted);
  bigger.set(bytes);
  return bigger;
}
