// SPDX-License-Identifier: Apache-2.0

/** I9: what a place may hold, and the most that it held. */
export class MemoryTally {
  readonly #most = new Map<string, number>();

  expectAtMost(what: string, { bytes, bytesMax }: { readonly bytes: number; readonly bytesMax: number }): void {
    if (bytes > (this.#most.get(what) ?? 0)) this.#most.set(what, bytes);
    if (bytes > bytesMax) throw new Error(`I9: ${what} holds ${bytes} bytes, ${bytesMax} are allowed`);
  }
}
