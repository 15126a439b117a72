// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert';

/** Bounds the memory of request bodies that are on their way or being stored (I9), in total and for each peer, so that one cannot starve the others. */
export class ReceiveBudget {
  private readonly takenByPeer = new Map<string, number>();
  private taken = 0;

  constructor(private readonly limits: { readonly totalBytes: number; readonly peerBytes: number }) {}

  get takenBytes(): number {
    return this.taken;
  }

  /** Undefined when there is no room; else the memory is counted until the returned function is called. */
  take(peer: string, bytes: number): (() => void) | undefined {
    const ofPeer = this.takenByPeer.get(peer) ?? 0;
    if (this.taken + bytes > this.limits.totalBytes || ofPeer + bytes > this.limits.peerBytes) return undefined;
    this.taken += bytes;
    this.takenByPeer.set(peer, ofPeer + bytes);
    return () => this.giveBack(peer, bytes);
  }

  private giveBack(peer: string, bytes: number): void {
    const left = (this.takenByPeer.get(peer) ?? 0) - bytes;
    this.taken -= bytes;
    assert(left >= 0 && this.taken >= 0, 'memory was given back twice');
    if (left === 0) this.takenByPeer.delete(peer);
    else this.takenByPeer.set(peer, left);
  }
}
