// SPDX-License-Identifier: Apache-2.0
// A JournalBench with a cold store that fails on purpose. For the specs of this library.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { coldNameOf } from '../cold-format';
import { ColdTier, type ColdTierOptions } from '../cold-tier';
import type { RetentionLimits } from '../retention-ladder';
import { type JournalBench, makeBench, reopen } from './journal-bench';
import { MemoryColdStore } from './memory-cold-store';

export interface ColdBench extends JournalBench {
  readonly store: MemoryColdStore;
  /** What reads waited for a store that did not answer. */
  readonly pauses: number[];
}

export const coldFolder = 'mt-1/pair-1';
const small = { segmentBytes: 8000, segmentEntries: 40 };
let tokens = 0;

export async function makeColdBench(seed: number): Promise<ColdBench> {
  const bench: ColdBench = { ...(await makeBench(seed)), store: new MemoryColdStore(), pauses: [] };
  await reopenCold(bench);
  return bench;
}

/** Opens all anew, with an empty cache of blocks. Undo that is older than 600 µs goes to the store unless `options` say otherwise. */
export async function reopenCold(bench: ColdBench, { afterCrash = false, ...options }: Partial<ColdTierOptions> & { readonly afterCrash?: boolean } = {}): Promise<ColdTier> {
  const tier = new ColdTier({
    store: bench.store, folder: coldFolder, cacheBytesMax: 20_000,
    policy: { afterMicros: 600, aboveShare: 1 },
    compress: async (parts) => zstdCompressSync(Buffer.concat(parts)),
    decompress: async (stored, { bytesMax }) => zstdDecompressSync(stored, { maxOutputLength: bytesMax }),
    delay: async (millis) => void bench.pauses.push(millis),
    newToken: () => `token-${tokens++}`,
    ...options,
  });
  await reopen(bench, { ...small, afterCrash, cold: tier });
  return tier;
}

/** Moves and removes all that is to be. */
export async function tendAll({ applier: { journal } }: JournalBench, limits: RetentionLimits, pause: () => Promise<void> = async () => undefined): Promise<void> {
  while (await journal.cold?.tend(limits, pause));
}

export async function journalFiles({ storage }: JournalBench, extension: string): Promise<string[]> {
  return (await (await storage.root.directory('journal')).list()).filter((name) => name.endsWith(extension));
}

/** Uploads that objects are there of, and those that files of the journal name. */
export async function uploadsOf(bench: ColdBench): Promise<{ stored: string[]; named: string[] }> {
  const stored = new Set([...bench.store.objects.keys()].map((name) => name.slice(coldFolder.length + 1, name.lastIndexOf('/'))));
  const named = (await journalFiles(bench, '.cold')).filter((name) => coldNameOf(name)).map((name) => name.slice(0, -'.cold'.length));
  return { stored: [...stored].sort(), named: named.sort() };
}
