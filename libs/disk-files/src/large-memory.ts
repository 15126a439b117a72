// SPDX-License-Identifier: Apache-2.0
import { Idle } from './idle';
import { giveBackPages, hugePagesSize, sharedMemory } from './system-calls';

const mebibyte = 1024 * 1024;
/** What takes less is left to the collector: it would take a whole huge page. */
const largeBytesMin = mebibyte;
const keptBytesMax = 8 * mebibyte;
/** An administrator who looks for the last good point opens one view after the other. */
const restMillis = 10_000;

const idle = new Idle<SharedArrayBuffer>({ max: 16, restMillis, close: (memory) => giveBackPages(new Uint8Array(memory)) });

/**
 * Memory for a while: large pieces in huge pages, small ones ordinary. Ordinary memory of this size costs a page fault for every 4 KiB and makes the garbage
 * collector run. What was given back waits for its next use for ten seconds, up to 128 MiB; then the system has it.
 */
export const largeMemory = {
  /** At least so many bytes; what it holds is not defined. */
  take(sizeBytes: number): ArrayBufferLike {
    if (sizeBytes < largeBytesMin) return new ArrayBuffer(sizeBytes);
    const wholeBytes = hugePagesSize(sizeBytes);
    return idle.take(({ byteLength }) => byteLength === wholeBytes) ?? sharedMemory(wholeBytes);
  },

  /** Nothing reads or writes it any more. */
  giveBack(memory: ArrayBufferLike): void {
    if (!(memory instanceof SharedArrayBuffer)) return;
    if (memory.byteLength <= keptBytesMax) idle.giveBack(memory);
    else giveBackPages(new Uint8Array(memory));
  },
};
