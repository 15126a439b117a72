// SPDX-License-Identifier: Apache-2.0
// What the keeper of a mirror (main thread) and the volume's thread tell each other; plain data.

/** What QEMU says may differ from the stream; `sourceUri` is where the disk can be read, and the bitmap as a meta context. */
export interface MissedChanges {
  readonly resync: { readonly kind: 'bitmap'; readonly bitmap: string } | { readonly kind: 'full' };
  readonly sourceUri: string;
}

export interface MirrorPulse {
  /** How long the oldest write that QEMU waits for has been waiting; 0 when none is. */
  readonly heldMillis: number;
  /** Read from QEMU for resynchronisation since the thread started. */
  readonly readBytes: number;
}
