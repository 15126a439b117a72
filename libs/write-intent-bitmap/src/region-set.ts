// SPDX-License-Identifier: Apache-2.0

/** A set of region numbers 0 … regionCount-1, as bits. */
export class RegionSet {
  readonly regionCount: number;
  readonly #words: Uint32Array;
  #size = 0;

  constructor(regionCount: number) {
    this.regionCount = regionCount;
    this.#words = new Uint32Array(Math.ceil(regionCount / 32));
  }

  static full(regionCount: number): RegionSet {
    const set = new RegionSet(regionCount);
    set.addRange({ first: 0, end: regionCount });
    return set;
  }

  /** How many regions are in the set. */
  get size(): number {
    return this.#size;
  }

  has(region: number): boolean {
    return ((this.#words[region >>> 5] as number) & (1 << (region & 31))) !== 0;
  }

  /** True when the region was not in the set before. */
  add(region: number): boolean {
    if (this.has(region)) return false;
    this.#words[region >>> 5] = (this.#words[region >>> 5] as number) | (1 << (region & 31));
    this.#size += 1;
    return true;
  }

  /** True when the region was in the set before. */
  delete(region: number): boolean {
    if (!this.has(region)) return false;
    this.#words[region >>> 5] = (this.#words[region >>> 5] as number) & ~(1 << (region & 31));
    this.#size -= 1;
    return true;
  }

  /** From `first` to before `end`. */
  addRange({ first, end }: { readonly first: number; readonly end: number }): void {
    for (let region = first; region < end; region++) this.add(region);
  }

  /** True when all from `first` to before `end` are in the set. */
  hasRange({ first, end }: { readonly first: number; readonly end: number }): boolean {
    for (let region = first; region < end; region++) if (!this.has(region)) return false;
    return true;
  }

  addAll(other: RegionSet): void {
    for (const region of other) this.add(region);
  }

  /** The first region of the set at or after `from`; undefined when none follows. */
  nextFrom(from: number): number | undefined {
    for (let word = from >>> 5; word < this.#words.length; word++) {
      let bits = this.#words[word] as number;
      if (word === from >>> 5) bits &= -1 << (from & 31);
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
    }
    return undefined;
  }

  /** The first region at or after `from` that is not in the set; `regionCount` when all are. */
  endOfRun(from: number): number {
    let region = from;
    while (region < this.regionCount && this.has(region)) region++;
    return region;
  }

  /** Ascending. */
  *[Symbol.iterator](): Generator<number> {
    for (let region = this.nextFrom(0); region !== undefined; region = this.nextFrom(region + 1)) yield region;
  }
}
