// SPDX-License-Identifier: Apache-2.0
import { GIB } from '@secondsite/units';
import { fio, nbdLoad } from '../fio';

export interface SustainedLoad {
  readonly block: '4k' | '64k';
  readonly blockBytes: number;
  readonly writtenBytes: number;
  /** Where the search begins: a writer that outruns the change buffer brings bitmap mode, and its resynchronisation would be measured instead. */
  readonly offeredMebibytesPerSecond: { readonly plain: number; readonly secured: number };
  readonly reach: { readonly pattern: number; readonly unreplicated: number; readonly secured: number; readonly securedPattern: number };
}

export const sustained64k: SustainedLoad = {
  block: '64k', blockBytes: 64 << 10, writtenBytes: 3 * GIB, offeredMebibytesPerSecond: { plain: 240, secured: 150 }, reach: { pattern: 0.9, unreplicated: 0.2, secured: 0.55, securedPattern: 0.35 },
};

export const sustained4k: SustainedLoad = {
  block: '4k', blockBytes: 4 << 10, writtenBytes: GIB, offeredMebibytesPerSecond: { plain: 150, secured: 110 }, reach: { pattern: 2, unreplicated: 0.5, secured: 0.55, securedPattern: 1.1 },
};

/** Of each disk; it is written over several times. */
export const diskBytes = GIB;
const depth = 16;
/** Half of each block is zeros: what compression gets is neither nothing nor everything. */
export const content = ['--refill_buffers=1', '--buffer_compress_percentage=50'];

/** Arguments of fio for the application's writes. */
export function writesTo(uri: string, { block, writtenBytes }: SustainedLoad): string[] {
  return nbdLoad({ uri, pattern: 'randwrite', block, depth, sizeBytes: diskBytes, extra: [`--io_size=${writtenBytes}`, ...content] });
}

export async function fill(image: string): Promise<void> {
  await fio(['--name=fill', `--filename=${image}`, '--rw=write', '--bs=1m', `--size=${diskBytes}`, '--ioengine=psync', '--refill_buffers=1']);
}
